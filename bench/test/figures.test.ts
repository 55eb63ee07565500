import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { lookOf, MOST_SERIES } from "../charts/svg.js";
import { fill } from "../harness/figures.js";
import { printReport } from "../harness/print.js";
import type { Report } from "../harness/report.js";
import { suites } from "../suites/index.js";

const root = fileURLToPath(new URL("../../", import.meta.url));
const report = JSON.parse(readFileSync(`${root}recorded.json`, "utf8")) as Report;
const FIGURE = "fig:signal/producer side/Atomics.or/signal";

test("the figures and charts in the documents are those of the recorded run", () => {
  const { status, stderr } = spawnSync(process.execPath, ["../scripts/figures.mjs"], {
    cwd: root,
    encoding: "utf8",
    timeout: 60_000,
  });
  assert.equal(stderr, "");
  assert.equal(status, 0);
});

test("what stands between markers is made from the report, whatever stood there", () => {
  const document = `before\n<!-- bench:signal/1 -->\nan old table\n<!-- /bench -->\nin <!-- ${FIGURE} -->7 ns<!-- /fig --> and <!-- ${FIGURE} ratio -->9x<!-- /fig -->.\n`;
  const filled = fill(document, report);
  assert.match(filled, /^before\n<!-- bench:signal\/1 -->\n\n```console\n {2}producer side/);
  assert.match(filled, /\n```\n\n<!-- \/bench -->\nin <!-- fig:[^>]+ -->\d+\.\d ns<!-- \/fig --> and/);
  assert.match(filled, /ratio -->\d\.\d\dx<!-- \/fig -->\.\n$/);
  assert.equal(fill(filled, report), filled);
  const [, table = "nothing"] = /```console\n([\s\S]*?)\n```/.exec(filled) ?? [];
  assert.ok(printReport(report).includes(table), "the command prints another table");
});

test("a figure that was changed by hand is put right", () => {
  const document = readFileSync(`${root}../packages/irqbypass/README.md`, "utf8");
  const changed = document.replace(/(--> ?)(\d)([\d.]* ns<!-- \/fig)/, (_, before, digit, after) => {
    return `${before}${(Number(digit) + 1) % 10}${after}`;
  });
  assert.notEqual(changed, document);
  assert.equal(fill(changed, report), document);
});

test("a marker that names nothing is refused", () => {
  const block = (name: string) => `<!-- bench:${name} -->\n<!-- /bench -->`;
  assert.throws(() => fill(block("signals"), report), /bench:signals: there is no such suite/);
  assert.throws(() => fill(block("signal/2"), report), /bench:signal\/2: there is no such table; allowed: 1/);
  const figure = "<!-- fig:signal/producer side/Atomics.and/signal -->1 ns<!-- /fig -->";
  assert.throws(() => fill(figure, report), /the recorded run has no such figure/);
});

test("a suite that was recorded by itself says where and when", () => {
  const [first, ...others] = report.suites;
  const machine = { ...report.machine, processor: "Another", load: 0 };
  const apart = { date: "2027-01-02T03:04:05.000Z", machine };
  const merged: Report = { ...report, suites: [{ ...first!, apart }, ...others] };
  const says = /\nAnother, [^\n]+\nLinux [^\n]+\nMeasured apart from the other suites, 2027-01-02\.\n/;
  assert.match(fill(`<!-- bench:${first!.name} -->\n<!-- /bench -->`, merged), says);
  assert.match(printReport(merged), says);
});

test("a suite that the record lacks is said to be missing, and so is its chart", () => {
  const none: Report = { ...report, suites: [] };
  assert.match(fill("<!-- bench:kvm -->\n<!-- /bench -->", none), /\nThe recorded run has no suite kvm\.\n/);
  const chart = "<!-- bench:chart charts/scaling.svg -->\n<!-- /bench -->";
  assert.match(fill(chart, none), /\n\(The recorded run has no chart scaling\.\)\n/);
  assert.match(fill(chart, report), /\n!\[Registering a consumer, [^\]]+\]\(charts\/scaling\.svg\)\n/);
});

test("no chart has more series than can be told apart", () => {
  const charted = suites.filter(({ name }) => name === "register" || name === "latency");
  for (const { trials } of charted)
    for (const { contestants } of trials(false)) assert.ok(contestants.length <= MOST_SERIES);
  const looks = Array.from({ length: MOST_SERIES }, (_, i) => lookOf(i));
  for (const part of ["colour", "mark"] as const)
    assert.equal(new Set(looks.map((look) => look[part])).size, MOST_SERIES);
});
