// Threads are ended at random, in the middle of anything, while others go on. The long run is in stress.long.ts.
import assert from "node:assert/strict";
import { test } from "node:test";
import { linux as needsLinux } from "../linux/available.js";
import { stress } from "./stress.js";

const seed = Number(process.env.IRQBYPASS_SEED ?? Date.now() % 1e6);

test(`threads that die leave nothing, and others go on (seed ${seed})`, async () => {
  const { interrupts } = await stress({ rounds: 3, deaths: 12, seed, real: false });
  assert.ok(interrupts > 0);
});

test(`the same with Linux eventfds (seed ${seed})`, needsLinux, async () => {
  const { interrupts } = await stress({ rounds: 2, deaths: 10, seed, real: true });
  assert.ok(interrupts > 0);
});
