// Ten minutes of lifetimes.test.ts, with four threads and with six; each pair of a call and an end must have met.
import assert from "node:assert/strict";
import { test } from "node:test";
import { lifetimes } from "./stress.js";

const seed = Number(process.env.IRQBYPASS_SEED ?? Date.now() % 1e6);
const MINUTES = 10;

for (const threads of [4, 6]) {
  const seconds = (MINUTES * 60) / 2;
  test(`${threads} threads, ${seconds} seconds (seed ${seed})`, { timeout: 3_600_000 }, async (t) => {
    const { overlaps, ...counts } = await lifetimes(threads, seconds, seed + threads);
    t.diagnostic(JSON.stringify({ ...counts, overlaps }));
    for (const [pair, met] of Object.entries(overlaps)) assert.ok(met > 0, `${pair} never met`);
  });
}
