// The command that measures the ways to wait in Chromium: that it measures each of them. What it says is no test.
import assert from "node:assert/strict";
import { test } from "node:test";
import { roundTrip } from "../../bench/build/suites/round-trip.js";
import { wait } from "../../bench/build/suites/wait.js";
import { measure } from "../waits/measure.mjs";
import { browserTests } from "../workspace.mjs";

const rowsOf = (trials) =>
  trials.flatMap(({ title, contestants }) => contestants.map((one) => `${title}: ${one}`));

test("every way to wait is measured in Chromium", await browserTests(), async () => {
  const { suites } = await measure({ batches: 3 });
  const rows = suites.flatMap(({ trials }) =>
    trials.flatMap(({ title, rows: found }) =>
      found.map(({ contestant, figures }) => {
        const { median } = figures.call ?? figures.typical;
        assert.ok(Number.isFinite(median) && median >= 0, `${title}: ${contestant} took ${median}`);
        return `${title}: ${contestant}`;
      }),
    ),
  );
  assert.deepEqual(rows, [...rowsOf(wait.trials(false)), ...rowsOf(roundTrip.trials(false))]);
});
