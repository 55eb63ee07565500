// Thousands of threads that are ended at random; see stress.test.ts.
import { test } from "node:test";
import { linux as needsLinux } from "../linux/available.js";
import { stress } from "./stress.js";

const seed = Number(process.env.IRQBYPASS_SEED ?? Date.now() % 1e6);
const HOUR_MS = 3_600_000;

test(`2,000 threads die, others go on, nothing is left (seed ${seed})`, { timeout: HOUR_MS }, async (t) => {
  const { deaths, interrupts } = await stress({ rounds: 40, deaths: 50, seed, real: false });
  t.diagnostic(`${deaths} deaths, ${interrupts} interrupts of those that went on, none lost`);
});

test(`1,000 more with Linux eventfds (seed ${seed})`, { ...needsLinux, timeout: HOUR_MS }, async (t) => {
  const { deaths, interrupts } = await stress({ rounds: 20, deaths: 50, seed, real: true });
  t.diagnostic(`${deaths} deaths, ${interrupts} interrupts of those that went on, none lost`);
});
