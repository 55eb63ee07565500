// 5,000 threads end in every wait; see lives.test.ts.
import { it } from "node:test";
import { linux as linuxTests } from "../linux/available.js";
import { endThreads } from "./ends.js";

const seed = Number(process.env.IRQBYPASS_SEED ?? Date.now() % 1e6);
const HOURS_MS = 3 * 3_600_000;

it(`5,000 threads end in every wait (seed ${seed})`, { ...linuxTests, timeout: HOURS_MS }, async (test) => {
  test.diagnostic(await endThreads({ seed, ends: 5_000, each: 100 }));
});
