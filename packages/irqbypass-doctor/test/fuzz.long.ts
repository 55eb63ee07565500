// Thousands of damaged hosts, and each file of each host in turn; see fuzz.test.ts.
import { test } from "node:test";
import { claimsNothing, fuzzTrees } from "./fuzz.js";

const seed = Number(process.env.IRQBYPASS_FUZZ_SEED ?? Date.now() % 1e9);

test(`20,000 damaged hosts (seed ${seed})`, { timeout: 10_800_000 }, async (t) => {
  const { reports, refused } = await fuzzTrees(20_000, seed);
  t.diagnostic(`${reports} reports, ${refused} refusals`);
});

test("each file of each host, replaced by what matches no format", { timeout: 10_800_000 }, async (t) => {
  t.diagnostic(`${await claimsNothing()} files`);
});
