// Damaged trees: no crash, no hang, no claim from a file that matches no format. The long form is in fuzz.long.ts.
import assert from "node:assert/strict";
import { test } from "node:test";
import { claimsNothing, fuzzTrees } from "./fuzz.js";

const seed = Number(process.env.IRQBYPASS_FUZZ_SEED ?? Date.now() % 1e9);

test(`a damaged tree ends in a report or in a refusal (seed ${seed})`, async (t) => {
  const { reports, refused } = await fuzzTrees(120, seed);
  t.diagnostic(`${reports} reports, ${refused} refusals`);
  assert.ok(reports > 0);
});

test("nothing is posted, and nothing cannot be, by a file that matches no format", async (t) => {
  t.diagnostic(
    `${await claimsNothing(["intel-posted-6.12", "intel-nopost", "amd-avic-6.18", "traced-posted"])} files`,
  );
});
