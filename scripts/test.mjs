// Runs the tests of every package, each file in a process and in its package's folder: all of them, or those whose path
// contains one of the arguments, such as `host/mutex` or `irqbypass-doctor`; `@threads` and `@packages` are arguments too.
//   --long        also those named *.long.ts, which take minutes
//   --verbose     what each file printed and noted
//   --jobs N      how many files run at a time; if absent, one less than there are cores
//   --skips FILE  fails for every skipped test that is not on this list, and for what is on it and was not skipped
//   --report FILE writes the outcome as JSON
// Files named *.alone.test.ts use what is one for the whole machine: they run last and one at a time, among all runs on it.
import { readFileSync, writeFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { parseArgs } from "node:util";
import { withLock } from "./lock.mjs";
import { runFile } from "./test-run/file.mjs";
import { findTests } from "./test-run/find.mjs";
import { printFile, printSummary } from "./test-run/print.mjs";
import { compareSkips } from "./test-run/skips.mjs";

// Against hangs only: a test that is slow is no failure.
const SHORT_MS = 900_000;
const LONG_MS = 4 * 3_600_000;

const { values: options, positionals: words } = parseArgs({
  allowPositionals: true,
  options: {
    long: { type: "boolean", default: false },
    verbose: { type: "boolean", default: false },
    jobs: { type: "string", default: String(Math.max(1, availableParallelism() - 1)) },
    skips: { type: "string" },
    report: { type: "string" },
  },
});
const files = findTests(words, options.long);
if (files.length === 0) {
  console.error(`test: no test file matches ${words.join(", ")}`);
  process.exit(2);
}

const outcomes = new Map();
async function run(file) {
  const outcome = await runFile(file, { limitMs: options.long ? LONG_MS : SHORT_MS });
  outcomes.set(file, outcome);
  printFile(outcome, options.verbose);
}

const together = files.filter(({ alone }) => !alone);
await Promise.all(
  Array.from({ length: Math.max(1, Number(options.jobs) || 1) }, async () => {
    for (let file = together.shift(); file !== undefined; file = together.shift()) await run(file);
  }),
);
for (const file of files.filter(({ alone }) => alone)) await withLock("test alone", () => run(file));

const packages = new Map();
const total = { files: 0, passed: 0, failed: [], skipped: [] };
for (const file of files) {
  const { name, passed, failed, skipped } = outcomes.get(file);
  if (!packages.has(file.package))
    packages.set(file.package, { files: 0, passed: 0, failed: [], skipped: [] });
  for (const sums of [total, packages.get(file.package)]) {
    sums.files += 1;
    sums.passed += passed;
    sums.failed.push(...failed.map((one) => ({ file: name, ...one })));
    sums.skipped.push(...skipped.map((one) => ({ file: name, ...one })));
  }
}
printSummary(total, packages);
if (options.report !== undefined) writeFileSync(options.report, `${JSON.stringify(total, null, 1)}\n`);

let wrong = 0;
if (options.skips !== undefined) {
  const list = JSON.parse(readFileSync(options.skips, "utf8"));
  const names = new Set(files.map(({ name }) => name));
  const problems = compareSkips(list, total.skipped, (file) => words.length === 0 || names.has(file));
  for (const problem of problems) console.error(`skips: ${problem}`);
  wrong = problems.length;
}
process.exit(total.failed.length + wrong === 0 ? 0 : 1);
