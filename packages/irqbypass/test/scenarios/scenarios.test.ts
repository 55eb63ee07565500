// Every scenario of the package that takes no more than a few seconds, and which rows of the state tables they take.
import assert from "node:assert/strict";
import { test } from "node:test";
import { TABLES } from "#scenarios/states/tables.js";
import { coverageText, noting, rowFaults } from "#scenarios/support/coverage.js";
import { scenarios } from "#scenarios/support/scenarios.js";
import { Ledger } from "#scenarios/support/transitions.js";
import { testSubjects } from "./scenarios.js";

const ledger = new Ledger();
const all = await scenarios();
testSubjects(all.filter(({ long }) => !long).map((subject) => noting(subject, ledger)));

// Last: the others have filled the ledger.
test("each row of a state table is taken by one of them, or says why by none", (t) => {
  t.diagnostic(coverageText(TABLES, ledger).trim());
  assert.deepEqual(rowFaults(TABLES, ledger), []);
});

test("scenarios that take longer", (t) => {
  const left = new Set(all.filter(({ long }) => long).map(({ scenario }) => scenario));
  t.diagnostic(`left out: ${[...left].join(", ")}; npm run test:long runs them`);
});
