// Holds the figures in the documents, and the charts, to the run that is kept in bench/recorded.json.
//   node scripts/figures.mjs            says what differs; exit code 1 then
//   node scripts/figures.mjs --write    writes the tables, figures and charts from the record
//   node scripts/figures.mjs --record   measures first: a full run into the record, then --write
//   node scripts/figures.mjs --record SUITE...   measures these suites alone, and keeps the others' records
// The markers are described in bench/harness/figures.ts.
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { readFlags } from "./flags.mjs";

const root = fileURLToPath(new URL("..", import.meta.url));
const RECORD = `${root}bench/recorded.json`;
const DOCUMENTS = ["packages/irqbypass/README.md", "packages/irqbypass/docs/performance.md"];
const CHARTS = "packages/irqbypass/docs/charts";

// Beside --record: suites, of which the benchmark refuses those that it does not have.
const chosen = process.argv.includes("--record")
  ? process.argv.slice(2).filter((one) => !one.startsWith("--"))
  : [];
const flags = readFlags("figures", "--write", "--record", ...chosen);
if (flags.has("--record")) record();
const write = flags.size > 0;

const { fill } = await import(new URL("../bench/build/harness/figures.js", import.meta.url));
const { charts } = await import(new URL("../bench/build/charts/charts.js", import.meta.url));
const report = JSON.parse(readFileSync(RECORD, "utf8"));

const wanted = new Map();
for (const path of DOCUMENTS) {
  try {
    wanted.set(path, fill(readFileSync(root + path, "utf8"), report));
  } catch (error) {
    console.error(`figures: ${path}: ${error.message}`);
    process.exit(1);
  }
}
for (const [name, svg] of Object.entries(charts(report))) wanted.set(`${CHARTS}/${name}.svg`, `${svg}\n`);

let differing = 0;
mkdirSync(root + CHARTS, { recursive: true });
const left = readdirSync(root + CHARTS).filter((name) => !wanted.has(`${CHARTS}/${name}`));
for (const name of left) {
  differing += 1;
  if (write) rmSync(`${root}${CHARTS}/${name}`);
  else console.error(`figures: ${CHARTS}/${name} is of no chart any more`);
}
for (const [path, text] of wanted) {
  const found = existsSync(root + path) ? readFileSync(root + path, "utf8") : "";
  if (found === text) continue;
  differing += 1;
  if (write) writeFileSync(root + path, text);
  else console.error(`figures: ${path}${firstDifference(found, text)}`);
}
console.log(`figures: ${wanted.size} files, ${differing} ${write ? "written" : "differ from the record"}`);
if (differing > 0 && !write) {
  console.error("figures: npm run figures writes them");
  process.exit(1);
}

/** Takes a full run, or one of the chosen suites; the old record stays where it fails. */
function record() {
  const bench = fileURLToPath(new URL("../bench/build/main.js", import.meta.url));
  const { status, stdout } = spawnSync(process.execPath, [bench, "--json", ...chosen], {
    stdio: ["ignore", "pipe", "inherit"],
    encoding: "utf8",
    maxBuffer: 2 ** 28,
  });
  if (status !== 0) process.exit(status ?? 1);
  const { targets, ...report } = JSON.parse(stdout);
  if (chosen.length > 0) keepOthers(report);
  // Lists of numbers on one line: a latency distribution has hundreds of pairs.
  const flat = (text) => text.replace(/\[[-\d.,\se+[\]]+\]/g, (list) => list.replace(/\s+/g, ""));
  writeFileSync(RECORD, `${flat(JSON.stringify(report, null, 1))}\n`);
}

/** The suites of a run beside those of the record that it has not measured; each says then when and where it was. */
function keepOthers(report) {
  const { date, machine, suites } = report;
  const old = JSON.parse(readFileSync(RECORD, "utf8"));
  const kept = old.suites.filter(({ name }) => !suites.some((suite) => suite.name === name));
  const apart = suites.map((suite) => ({ ...suite, apart: { date, machine } }));
  Object.assign(report, old, { suites: [...kept, ...apart] });
}

function firstDifference(found, wanted) {
  const [have, want] = [found.split("\n"), wanted.split("\n")];
  const at = want.findIndex((line, i) => line !== have[i]);
  if (at < 0) return ": has more lines than it should";
  return `:${at + 1}: found ${JSON.stringify(have[at] ?? "nothing")}; the record has ${JSON.stringify(want[at])}`;
}
