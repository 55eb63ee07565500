// The table of all ways to wait in docs/emulators.md: measures the two suites with the running Node, and writes its column.
//   node scripts/waits.mjs [FILE]
// FILE, or - for standard input, has a report instead: of `npm run bench -- wait round-trip --json`, or of `node heavy/waits/main.mjs`.
import { spawnSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../", import.meta.url));
const page = `${root}packages/irqbypass/docs/emulators.md`;
const COLUMNS = ["Node 20", "Node 24", "Node 26", "Chromium"];
const NONE = "not measured";
const MARKS = /<!-- waits -->\n([\s\S]*?)<!-- \/waits -->/;

/** The JSON of a run. */
function measured() {
  const args = ["bench/build/main.js", "wait", "round-trip", "--json"];
  const { status, stdout, stderr } = spawnSync(process.execPath, args, {
    cwd: root,
    encoding: "utf8",
    maxBuffer: 2 ** 26,
  });
  if (status !== 0) throw new Error(stderr);
  return stdout;
}

/** What stands in the table now, a row for each way: its cells by column. */
function rowsOf(text) {
  const rows = new Map();
  for (const line of text.split("\n").slice(2)) {
    const [, name, ...cells] = line.split("|").map((cell) => cell.trim());
    if (name) rows.set(name, cells.slice(0, COLUMNS.length));
  }
  return rows;
}

const times = (thousandths) => `${(thousandths / 1000).toFixed(2)}x`;
const show = (ns) => (ns < 1000 ? `${Math.round(ns)} ns` : `${(ns / 1000).toFixed(1)} us`);

const [from] = process.argv.slice(2);
const report = JSON.parse(from === undefined ? measured() : readFileSync(from === "-" ? 0 : from, "utf8"));
const { column: name = `Node ${process.versions.node.split(".")[0]}` } = report;
const column = COLUMNS.indexOf(name);
if (column < 0) throw new Error(`the table has no column for ${name}`);
const text = readFileSync(page, "utf8");
const rows = rowsOf(MARKS.exec(text)[1]);
/** Writes a cell of this column. */
function note(row, figure, print) {
  const cells = rows.get(row) ?? COLUMNS.map(() => NONE);
  cells[column] = figure === undefined ? NONE : print(figure.median);
  rows.set(row, cells);
}

for (const { trials } of report.suites) {
  for (const trial of trials) {
    for (const { contestant, figures } of trial.rows) {
      note(`${trial.title}: ${contestant}`, figures?.call ?? figures?.typical, show);
      // Of the same two threads, which is what there is to compare with.
      if (figures?.over) note(`${trial.title}: ${contestant} over a bare wait`, figures.over, times);
    }
  }
}
const table = [
  `| way | ${COLUMNS.join(" | ")} |`,
  `|---|${COLUMNS.map(() => "---:|").join("")}`,
  ...[...rows].map(([name, cells]) => `| ${name} | ${cells.join(" | ")} |`),
];
writeFileSync(
  page,
  text.replace(MARKS, () => `<!-- waits -->\n${table.join("\n")}\n<!-- /waits -->`),
);
