/** Each bug's test, and each patch's, on the shipped code and on every broken twin of it; and the table of bugs itself. */
import assert from "node:assert/strict";
import { describe, it, test } from "node:test";
import type { Subject } from "atomics-explorer";
import { scenarios } from "#scenarios/support/scenarios.js";
import { BUGS, type Bug, bugProofs, countStandings, INTERLEAVINGS } from "./bugs.js";
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

test("the table has each of the 74 bugs once, in order", () => {
  const letters: Record<string, number> = { A: 11, B: 15, C: 16, D: 10, E: 22 };
  const ids = Object.entries(letters).flatMap(([letter, count]) =>
    Array.from({ length: count }, (_, i) => `${letter}${i + 1}`),
  );
  assert.deepEqual(
    BUGS.map(({ id }) => id),
    ids,
  );
  assert.equal(
    [...countStandings().values()].reduce((sum, count) => sum + count),
    74,
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
  const names = (await scenarios()).map(({ name }) => name);
  for (const { id, scenario } of BUGS)
    if (scenario !== undefined) assert.ok(names.includes(scenario), `${id}: ${scenario}`);
});

/** Is this the museum's twin of a bug? The two are told by the scenario, and by the commit or, where there is none, the year. */
const isOf = ({ scenario, bug }: Subject, { scenario: its, was }: Bug) =>
  bug !== undefined && scenario === its && (was.includes(bug.id) || was.includes(String(bug.year)));

test("each bug that takes an interleaving is in the museum, and nothing is there that is not in the table", async () => {
  const museum = (await scenarios()).filter(({ bug }) => bug !== undefined);
  for (const id of INTERLEAVINGS) {
    const bug = BUGS.find((one) => one.id === id);
    assert.ok(bug !== undefined && museum.some((twin) => isOf(twin, bug)), `${id} is not in the museum`);
  }
  for (const twin of museum)
    assert.ok(
      BUGS.some((bug) => isOf(twin, bug)),
      `${twin.name} is in the museum, and no bug of the table`,
    );
});

test("each of the eight patches has a test that fails without it", () => {
  const patches = new Set(seriesProofs.map(({ id }) => id));
  assert.deepEqual(
    [...patches],
    ["patch 1", "patch 2", "patch 3", "patch 4", "patch 5", "patch 6", "patch 7", "patch 8"],
  );
});
