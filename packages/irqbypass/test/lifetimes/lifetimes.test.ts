// Objects that end while others use them, on real threads. The long run is in lifetimes.long.ts.
import assert from "node:assert/strict";
import { test } from "node:test";
import { lifetimes } from "./stress.js";

const seed = Number(process.env.IRQBYPASS_SEED ?? Date.now() % 1e6);

test(`what has ended is never acted upon, nor its successor (seed ${seed})`, async (t) => {
  const { calls, interrupts, deaths, audits } = await lifetimes(4, 4, seed);
  t.diagnostic(`${calls} calls, ${interrupts} interrupts, ${deaths} deaths, ${audits} audits beside them`);
  assert.ok(calls > 0 && interrupts > 0 && deaths > 0);
});
