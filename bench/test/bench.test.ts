import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { loadFfi } from "irqbypass/internal/linux/koffi.js";
import type { Figure, Report } from "../harness/report.js";

/** Why Linux calls cannot be made here, for a test that needs them. */
function noLinux(): string | false {
  try {
    loadFfi();
    return false;
  } catch (error) {
    return (error as Error).message;
  }
}

const main = fileURLToPath(new URL("../main.js", import.meta.url));

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

test("the limit of open files goes as far as it may, and what it is then is said", {
  skip: noLinux(),
}, () => {
  const module = new URL("../harness/open-files.js", import.meta.url).href;
  const code = `
    import { raiseFileLimit } from ${JSON.stringify(module)};
    import { readFileSync } from "node:fs";
    const says = [64, 2 ** 40].map(raiseFileLimit);
    const limits = /Max open files +(\\d+) +(\\d+)/.exec(readFileSync("/proc/self/limits", "latin1"));
    console.log(JSON.stringify([...says, ...limits.slice(1).map(Number)]));`;
  const { stdout, stderr } = spawnSync(process.execPath, ["--input-type=module", "-e", code], {
    encoding: "utf8",
  });
  assert.equal(stderr, "");
  const [few, most, soft, hard] = JSON.parse(stdout) as number[];
  assert.ok(few !== undefined && few >= 64);
  // More than a kernel gives to anybody: the process has what it may have, and knows it.
  assert.deepEqual([most, soft], [hard, hard]);
});

test("--help names every suite", () => {
  const { status, stdout } = bench(["--help"]);
  assert.equal(status, 0);
  for (const name of [
    "register",
    "pair",
    "storm",
    "signal",
    "file",
    "latency",
    "deassign",
    "ioeventfd",
    "message",
    "routes",
    "kvm",
    "run",
    "memory",
    "startup",
  ])
    assert.match(stdout, new RegExp(`^  ${name} `, "m"));
});

test("a report that was written is shown again: targets, page and charts", () => {
  const folder = mkdtempSync(join(tmpdir(), "irqbypass-test-"));
  try {
    const path = join(folder, "report.json");
    writeFileSync(path, JSON.stringify(sampleReport));
    const { status, stdout, stderr } = bench([
      ...["--from", path, "--check", "--html", join(folder, "page.html"), "--svg", join(folder, "charts")],
    ]);
    assert.equal(status, 0, stderr);
    assert.match(
      stdout,
      /met +register a consumer, 174,000 registered +50\.0 ns +0\.77x +65\.0 ns +45\.0 ns/,
    );
    assert.match(stdout, /missed +register a consumer over a list on the same memory, 32 registered +2\.00x/);
    assert.match(stdout, /not measured +a pair comes and goes/);
    assert.match(stdout, /1 of 2 measured targets are met/);
    assert.match(stdout, /C list: not measured, there is no C compiler/);
    const page = readFileSync(join(folder, "page.html"), "utf8");
    assert.match(page, /<svg /);
    assert.match(page, /C list: not measured/);
    // Self-contained: nothing is fetched.
    assert.doesNotMatch(page, /<(script|link|img|iframe)\b|url\(|@import/);
    assert.deepEqual(readdirSync(join(folder, "charts")), ["scaling.svg"]);
    const svg = readFileSync(join(folder, "charts", "scaling.svg"), "utf8");
    assert.match(svg, /aria-label="Registering a consumer/);
    assert.match(svg, />list &#60;old&#62;</);
    assert.doesNotMatch(svg, /NaN|undefined|Infinity/);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("what is no report is refused", () => {
  const { status, stderr } = bench(["--from", main]);
  assert.equal(status, 2);
  assert.match(stderr, /is not a report/);
});

const constant = (median: number, ratio: number): Figure => ({
  ...{ median, low: median, high: median },
  ...{ ratio, rounds: [median] },
});

const sampleReport: Report = {
  date: "2030-01-01T00:00:00.000Z",
  quick: false,
  machine: {
    ...{ processor: "a processor", cores: 2, memoryGiB: 4, virtual: true },
    ...{ system: "Linux", node: "v20", cc: null, load: 0 },
  },
  seconds: 1,
  suites: [
    {
      name: "register",
      about: "About.",
      notes: [],
      measures: [{ key: "register", title: "register a consumer", unit: "ns" }],
      trials: [32, 174_000].map((n) => ({
        title: n.toLocaleString("en-US"),
        parameters: { n },
        rows: [
          { contestant: "irqbypass", figures: { register: constant(50, 1) } },
          { contestant: "list", figures: { register: constant(25, 0.5) } },
          { contestant: "list <old>", figures: { register: constant(30, 0.6) } },
          { contestant: "C list", figures: {}, unavailable: "there is no C compiler" },
        ],
      })),
    },
  ],
};
