// Thousands of damaged hosts, and each file of each host in turn; see fuzz.test.ts.
import { test } from "node:test";
import { FORMATS } from "./formats.js";
import { claimsNothing, fuzzTrees } from "./fuzz.js";
import { nearMisses } from "./near-misses.js";

const seed = Number(process.env.IRQBYPASS_FUZZ_SEED ?? Date.now() % 1e9);

/** Fewer for a look at a change; what docs/doctor.md tells is by the command that stands there. */
const runs = Number(process.env.IRQBYPASS_FUZZ_RUNS ?? 20_000);

test(`${runs} damaged hosts (seed ${seed})`, { timeout: 10_800_000 }, async (t) => {
  const { reports, refused } = await fuzzTrees(runs, seed);
  t.diagnostic(`${reports} reports, ${refused} refusals`);
});

test("each file of each host, replaced by what matches no format", { timeout: 10_800_000 }, async (t) => {
  t.diagnostic(`${await claimsNothing()} files`);
});

/** A near miss takes three reports, and there are many formats. */
const near = Math.ceil(runs / 20);

test(`${near} near misses of each format (seed ${seed})`, { timeout: 10_800_000 }, async (t) => {
  for (const one of FORMATS) {
    const { format, right, wrong } = await nearMisses(one, near, seed);
    t.diagnostic(`${format}: ${right} right all the same, ${wrong} of no format`);
  }
});
