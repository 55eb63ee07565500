// Damaged hosts: no crash, no hang, no claim from a file that matches no format. The long form is in fuzz.long.ts.
import assert from "node:assert/strict";
import { test } from "node:test";
import { FORMATS } from "./formats.js";
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

for (const format of FORMATS)
  test(`what nearly has the format of ${format.name} is found out (seed ${seed})`, async (t) => {
    const { right, wrong } = await nearMisses(format, 20, seed);
    t.diagnostic(`${right} right all the same, ${wrong} of no format`);
    assert.ok(wrong > 0);
  });
