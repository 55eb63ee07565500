/** `npm run bench`, and `irqbypass bench`: measures, and shows what it found. */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { charts } from "./charts/charts.js";
import { page } from "./charts/page.js";
import { check, printVerdicts } from "./harness/check.js";
import { printReport } from "./harness/print.js";
import type { Report } from "./harness/report.js";
import { runSuites } from "./harness/run.js";
import { suites } from "./suites/index.js";
import { targets } from "./targets.js";

const HELP = `Usage: irqbypass bench [suite...] [options]     in a checkout: npm run bench -- [suite...] [options]

Suites (all of them where none is named):
${suites.map(({ name, measures }) => `  ${name.padEnd(10)} ${measures.map(({ title }) => title).join(", ")}`).join("\n")}

Options:
  --quick      a few rounds and few sizes: shows that everything works, in half a minute instead of four
  --check      print every target, and whether it is met; the exit code does not depend on it
  --json       one JSON object on standard output, and nothing else
  --html FILE  write one self-contained page with charts and tables
  --svg FOLDER write the charts as SVG files
  --from FILE  measure nothing: take the report that --json has written
  -h, --help   this text

Ratios are medians over rounds that all contestants of a table take in turn, each in a process of its own. Times move
with the machine and with what else runs on it; ratios move less. Rows in C need a compiler (cc), rows of KVM /dev/kvm;
what is missing is said in place of the figures.`;

const options = {
  quick: { type: "boolean", default: false },
  check: { type: "boolean", default: false },
  json: { type: "boolean", default: false },
  html: { type: "string" },
  svg: { type: "string" },
  from: { type: "string" },
  help: { type: "boolean", short: "h", default: false },
} as const;

class UsageError extends Error {}

function parse(args: string[]) {
  try {
    return parseArgs({ args, allowPositionals: true, options });
  } catch (error) {
    throw new UsageError(`${(error as Error).message}\n\n${HELP}`);
  }
}

async function main(args: string[]): Promise<void> {
  const { values, positionals } = parse(args);
  if (values.help) {
    process.stdout.write(`${HELP}\n`);
    return;
  }
  const unknown = positionals.filter((name) => !suites.some((suite) => suite.name === name));
  if (unknown.length > 0) {
    const allowed = suites.map(({ name }) => name).join(", ");
    throw new UsageError(`there is no suite ${unknown.join(", ")}. Allowed: ${allowed}.`);
  }
  const report =
    values.from === undefined ? await measure(positionals, values.quick) : readReport(values.from);
  const verdicts = check(report, targets);
  // Whatever is shown of a report, its files first: what goes to a closed pipe ends the process.
  if (values.html !== undefined) writeFileSync(values.html, page(report, verdicts));
  if (values.svg !== undefined) {
    mkdirSync(values.svg, { recursive: true });
    for (const [name, svg] of Object.entries(charts(report)))
      writeFileSync(join(values.svg, `${name}.svg`), `${svg}\n`);
  }
  if (values.json) {
    process.stdout.write(`${JSON.stringify({ ...report, targets: verdicts }, null, 2)}\n`);
    return;
  }
  process.stdout.write(`${printReport(report)}\n`);
  if (values.check) process.stdout.write(`\n${printVerdicts(verdicts)}\n`);
}

async function measure(names: readonly string[], quick: boolean): Promise<Report> {
  const chosen = suites.filter(({ name }) => names.length === 0 || names.includes(name));
  const terminal = process.stderr.isTTY === true;
  const report = await runSuites(chosen, {
    quick,
    progress: (text) => process.stderr.write(terminal ? `\r\x1b[K${text}` : `${text}\n`),
  });
  if (terminal) process.stderr.write("\r\x1b[K");
  return report;
}

function readReport(path: string): Report {
  let report: unknown;
  try {
    report = JSON.parse(readFileSync(path, "utf8"));
  } catch (error) {
    throw new UsageError(`${path} is not a report: ${(error as Error).message}`);
  }
  if (typeof report !== "object" || report === null || !("suites" in report) || !("machine" in report))
    throw new UsageError(`${path} is not a report: make one with irqbypass bench --json > ${path}`);
  return report as Report;
}

// Exiting by itself, it removes what it has compiled.
process.once("SIGINT", () => process.exit(130));
process.once("SIGTERM", () => process.exit(143));
try {
  await main(process.argv.slice(2));
} catch (error) {
  const usage = error instanceof UsageError;
  process.stderr.write(`bench: ${error instanceof Error ? (usage ? error.message : error.stack) : error}\n`);
  process.exitCode = usage ? 2 : 1;
}
