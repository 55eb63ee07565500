import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import type { Figure, Report } from "../../bench/harness/report.js";

const main = fileURLToPath(new URL("../../bench/main.js", import.meta.url));

function bench(args: readonly string[], env: NodeJS.ProcessEnv = process.env) {
  return spawnSync(process.execPath, [main, ...args], { encoding: "utf8", env, timeout: 110_000 });
}

test("a quick run prints one JSON object with every contestant's figures", () => {
  const { status, stdout, stderr } = bench(["pair", "--quick", "--json"]);
  assert.equal(status, 0, stderr);
  const report = JSON.parse(stdout) as Report;
  assert.equal(report.quick, true);
  assert.ok(report.machine.cores > 0);
  assert.deepEqual(
    report.suites.map(({ name }) => name),
    ["pair"],
  );
  const [suite] = report.suites;
  assert.ok(suite !== undefined && suite.trials.length >= 2);
  for (const { rows, parameters } of suite.trials) {
    assert.ok(Number.isInteger(parameters.n));
    for (const { contestant, figures, unavailable } of rows) {
      if (contestant.startsWith("C ") && unavailable !== undefined) continue;
      assert.equal(unavailable, undefined, contestant);
      for (const { key } of suite.measures) {
        const figure: Figure | undefined = figures[key];
        assert.ok(figure !== undefined, `${contestant} has no ${key}`);
        assert.equal(figure.rounds.length, 3);
        assert.ok(figure.low <= figure.median && figure.median <= figure.high);
        assert.ok(figure.median >= 0 && Number.isFinite(figure.ratio), `${contestant}: ${figure.median}`);
      }
    }
    assert.equal(rows[0]?.figures.pair?.ratio, 1);
  }
});

test("without a C compiler the rows in C say so, and the others are there", () => {
  const { status, stdout, stderr } = bench(["pair", "--quick"], { ...process.env, PATH: "/nonexistent" });
  assert.equal(status, 0, stderr);
  assert.match(stdout, /no C compiler: the rows in C say so/);
  assert.match(stdout, /C radix, dense ids: not measured, there is no C compiler/);
  assert.match(stdout, /174,000 +1\.00x/);
});

test("a suite or an option that does not exist is refused with what is allowed", () => {
  const suite = bench(["registers"]);
  assert.equal(suite.status, 2);
  assert.match(suite.stderr, /no suite registers\. Allowed: register, pair/);
  const option = bench(["--fast"]);
  assert.equal(option.status, 2);
  assert.match(option.stderr, /--fast/);
  assert.match(option.stderr, /--quick/);
});

test("--help names every suite", () => {
  const { status, stdout } = bench(["--help"]);
  assert.equal(status, 0);
  for (const name of ["register", "pair", "signal", "latency"])
    assert.match(stdout, new RegExp(`^  ${name} `, "m"));
});
