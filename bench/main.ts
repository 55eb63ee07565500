/** `npm run bench`: measures, and prints what it found. */
import { parseArgs } from "node:util";
import { printReport } from "./harness/print.js";
import { runSuites } from "./harness/run.js";
import { suites } from "./suites/index.js";

const HELP = `Usage: npm run bench -- [suite...] [options]

Suites (all of them where none is named):
${suites.map(({ name, measures }) => `  ${name.padEnd(10)} ${measures.map(({ title }) => title).join(", ")}`).join("\n")}

Options:
  --quick      a few rounds and few sizes: shows that everything works
  --json       one JSON object on standard output, and nothing else
  -h, --help   this text

Ratios are medians over rounds that all contestants of a table take in turn, each in a process of its own. Times move
with the machine and with what else runs on it; ratios move less.`;

function parse(args: string[]) {
  return parseArgs({
    args,
    allowPositionals: true,
    options: {
      quick: { type: "boolean", default: false },
      json: { type: "boolean", default: false },
      help: { type: "boolean", short: "h", default: false },
    },
  });
}

async function main(args: string[]): Promise<number> {
  let parsed: ReturnType<typeof parse>;
  try {
    parsed = parse(args);
  } catch (error) {
    process.stderr.write(`bench: ${(error as Error).message}\n\n${HELP}\n`);
    return 2;
  }
  const { values, positionals } = parsed;
  if (values.help) {
    process.stdout.write(`${HELP}\n`);
    return 0;
  }
  const unknown = positionals.filter((name) => !suites.some((suite) => suite.name === name));
  if (unknown.length > 0) {
    process.stderr.write(
      `bench: there is no suite ${unknown.join(", ")}. Allowed: ${suites.map(({ name }) => name).join(", ")}.\n`,
    );
    return 2;
  }
  const chosen = suites.filter(({ name }) => positionals.length === 0 || positionals.includes(name));
  const terminal = process.stderr.isTTY === true;
  const report = await runSuites(chosen, {
    quick: values.quick,
    progress: (text) => process.stderr.write(terminal ? `\r\x1b[K${text}` : `${text}\n`),
  });
  if (terminal) process.stderr.write("\r\x1b[K");
  process.stdout.write(values.json ? `${JSON.stringify(report, null, 2)}\n` : `${printReport(report)}\n`);
  return 0;
}

process.exitCode = await main(process.argv.slice(2));
