/** Each bug's test, and each patch's, on the shipped code and on every broken twin of it; and the table of bugs itself. */
import assert from "node:assert/strict";
import { describe, it, test } from "node:test";
import { subjects } from "#src/explore/index.js";
import { BUGS, bugProofs, countStandings } from "./bugs.js";
import { assertBites } from "./proof.js";
import { seriesProofs } from "./series.js";

for (const { id, sentence, holds, twins } of [...bugProofs, ...seriesProofs]) {
  describe(id, () => {
    it(`${id}: ${sentence}`, holds);
    for (const [wrong, twin] of twins) {
      it(`${id}: fails on a twin that ${wrong}`, async (t) => t.diagnostic(await assertBites(wrong, twin)));
    }
  });
}

test("the table has each of the 52 bugs once, in order", () => {
  const letters: Record<string, number> = { A: 11, B: 15, C: 16, D: 10 };
  const ids = Object.entries(letters).flatMap(([letter, count]) =>
    Array.from({ length: count }, (_, i) => `${letter}${i + 1}`),
  );
  assert.deepEqual(
    BUGS.map(({ id }) => id),
    ids,
  );
  assert.equal(
    [...countStandings().values()].reduce((sum, count) => sum + count),
    52,
  );
});

test("a bug has exactly one proof with a twin, or the reason why it cannot have one", () => {
  for (const { id, standing, here } of BUGS) {
    const proofs = bugProofs.filter((proof) => proof.id === id);
    assert.equal(proofs.length, standing === "not applicable" ? 0 : 1, id);
    for (const { twins } of proofs) assert.ok(twins.size > 0, `${id} has no twin`);
    assert.equal(here !== undefined, standing !== "tested", `${id}: say what it is here, or why it is not`);
  }
});

test("the scenarios that the table names are there", async () => {
  const names = (await subjects([])).map(({ name }) => name);
  for (const { id, scenario } of BUGS)
    if (scenario !== undefined) assert.ok(names.includes(scenario), `${id}: ${scenario}`);
});

test("each of the eight patches has a test that fails without it", () => {
  const patches = new Set(seriesProofs.map(({ id }) => id));
  assert.deepEqual(
    [...patches],
    ["patch 1", "patch 2", "patch 3", "patch 4", "patch 5", "patch 6", "patch 7", "patch 8"],
  );
});
