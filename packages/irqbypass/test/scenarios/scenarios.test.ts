// Every scenario of the package that takes no more than a few seconds.
import { test } from "node:test";
import { scenarios } from "#scenarios/support/scenarios.js";
import { testSubjects } from "./scenarios.js";

const all = await scenarios();
testSubjects(all.filter(({ long }) => !long));

test("scenarios that take longer", (t) => {
  const left = new Set(all.filter(({ long }) => long).map(({ scenario }) => scenario));
  t.diagnostic(`left out: ${[...left].join(", ")}; npm run test:long runs them`);
});
