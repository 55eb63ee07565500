// Damaged hosts: no crash, no hang, no claim from a file that matches no format. The long form is in fuzz.long.ts.
import assert from "node:assert/strict";
import { test } from "node:test";
import { claimsNothing, fuzzTrees } from "./fuzz.js";
import { nearMisses } from "./near-misses.js";

const seed = Number(process.env.IRQBYPASS_FUZZ_SEED ?? Date.now() % 1e9);

test(`a damaged host ends in a report or in a refusal (seed ${seed})`, async (t) => {
  const { reports, refused } = await fuzzTrees(120, seed);
  t.diagnostic(`${reports} reports, ${refused} refusals`);
  assert.ok(reports > refused);
});

test("nothing is posted, and nothing cannot be, by a file that matches no format", async (t) => {
  const looked = await claimsNothing(["intel-posted-6.12", "amd-avic-6.18", "10-arm64-forwarded"]);
  t.diagnostic(`${looked} files`);
  assert.ok(looked > 0);
});

test(`what nearly has its format is shown as of none (seed ${seed})`, async (t) => {
  for (const { format, right, wrong } of await nearMisses(12, seed)) {
    t.diagnostic(`${format}: ${right} right all the same, ${wrong} of no format`);
    assert.ok(wrong > 0, format);
  }
});
