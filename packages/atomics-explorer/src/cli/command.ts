/**
 * `atomics-explorer`: runs every interleaving of the scenarios.
 */
import { readFileSync } from "node:fs";
import { Command, InvalidArgumentError, Option } from "commander";
import { ExplorerError } from "../error.js";
import {
  chartOf,
  count,
  type ExploreSettings,
  exploreSubject,
  type Report,
  replayId,
  reportText,
  type Subject,
  saveTest,
  subjectOfReplay,
  subjects,
  type Tally,
} from "../index.js";

interface Options {
  readonly json?: true;
  readonly list?: true;
  readonly in?: string;
  readonly long?: true;
  readonly twins: boolean;
  readonly reduce: boolean;
  readonly preemptions?: number;
  readonly seconds?: number;
  readonly replay?: string;
  readonly accesses?: true;
  readonly save?: string;
}

const PROGRESS_MS = 250;
const DEFAULT_COLUMNS = 120;

/** The command, for the program to add. It sets `process.exitCode` to 1 where a scenario does not hold. */
export function createProgram(): Command {
  return new Command("atomics-explorer")
    .description(
      "Run every interleaving of a few threads over shared memory, and find the one that goes wrong.",
    )
    .version(version(), "-V, --version", "print the version")
    .argument(
      "[scenario...]",
      "a file (./mine.mjs), or with --in a file, scenario or twin of the folder; all of the folder if none",
    )
    .option("--in <folder>", "the folder of scenario files in which names are looked up")
    .option("--list", "list the scenarios and what each says")
    .option("--long", "also the scenarios that take more than a few seconds; one that is named runs anyway")
    .option("--no-twins", "leave out the broken twins")
    .option("--no-reduce", "run every schedule by itself instead of visiting each state once")
    .addOption(
      new Option("--preemptions <n>", "at most n switches away from a thread that could go on").argParser(
        whole,
      ),
    )
    .addOption(
      new Option(
        "--seconds <n>",
        "give up on a scenario after n seconds; it then counts as failed",
      ).argParser(positive),
    )
    .option("--replay <id>", "run one schedule again, and print what each thread does")
    .option("--accesses", "with --replay: print every access to a guarded word, too")
    .option("--save <file>", "with --replay: write the schedule as a test for `node --test`")
    .addOption(new Option("--json", "print one JSON object").conflicts(["list"]))
    .addHelpText(
      "after",
      `
It explores sequentially consistent interleavings: a missing hardware barrier is outside. docs/explorer.md says what else
is, and how to write a scenario.

Examples:
  atomics-explorer ./mine.mjs                   the scenarios of a file, with their twins
  atomics-explorer ./mine.mjs/count             one of them
  atomics-explorer --in scenarios               all scenarios of a folder
  atomics-explorer --in scenarios mutex/death   one of them
  atomics-explorer --replay ./mine.mjs/count/torn:abab

Exit codes: 0 every scenario holds and every twin is caught, 1 not so, 2 wrong usage.`,
    )
    .action(async (names: string[], options: Options) => {
      if (options.replay !== undefined) await showReplay(options.replay, options);
      else if (options.save !== undefined)
        throw new ExplorerError("--save needs --replay, which names the schedule");
      else await exploreAll(names, options);
    });
}

async function exploreAll(names: readonly string[], options: Options): Promise<void> {
  const wanted = (await subjects(names, options.in)).filter((one) => options.twins || !one.twin);
  const chosen = wanted.filter((one) => !one.long || options.long || isNamed(one, names));
  const left = new Set(wanted.filter((one) => !chosen.includes(one)).map(({ scenario }) => scenario));
  if (options.list) {
    for (const { name, sentence, twin, long } of wanted)
      process.stdout.write(`${twin ? "  " : ""}${name}: ${sentence}${long && !twin ? " (--long)" : ""}\n`);
    return;
  }
  const reports: Report[] = [];
  const started = performance.now();
  for (const subject of chosen) {
    const report = await exploreSubject(subject, settingsOf(subject, options));
    clearProgress();
    reports.push(report);
    if (!options.json) process.stdout.write(`${await textOf(report, options)}\n`);
  }
  const failed = reports.filter(({ passed }) => !passed);
  if (options.json)
    process.stdout.write(
      `${JSON.stringify({ reports, leftOut: [...left], passed: failed.length === 0 }, null, 2)}\n`,
    );
  else process.stdout.write(summary(reports, (performance.now() - started) / 1000) + leftOut(left));
  if (failed.length > 0) process.exitCode = 1;
}

/** Does a name stand for this scenario alone, or for something in it? */
const isNamed = ({ scenario }: Subject, names: readonly string[]) =>
  names.some((name) => name === scenario || name.startsWith(`${scenario}/`));

function leftOut(scenarios: ReadonlySet<string>): string {
  if (scenarios.size === 0) return "";
  const names = [...scenarios].join(", ");
  return `left out, because they take longer: ${names}; --long runs them, too\n`;
}

function settingsOf(subject: Subject, { preemptions, seconds, reduce, json }: Options): ExploreSettings {
  const started = performance.now();
  let shown = started;
  return {
    ...(preemptions === undefined ? {} : { preemptions }),
    reduce,
    progress(tally) {
      const now = performance.now();
      if (now - shown >= PROGRESS_MS && !json) {
        shown = now;
        showProgress(subject.name, tally, (now - started) / 1000);
      }
      return seconds !== undefined && now - started > seconds * 1000;
    },
  };
}

function showProgress(name: string, { states, transitions, schedules }: Tally, seconds: number): void {
  if (!process.stderr.isTTY) return;
  const seen = states > 0 ? `${count(states)} states` : `${count(schedules)} schedules`;
  const text = `${name}: ${seen}, ${count(transitions)} steps, ${seconds.toFixed(0)} s`;
  process.stderr.write(`\r\x1b[K${text.slice(0, (process.stderr.columns ?? 80) - 1)}`);
}

function clearProgress(): void {
  if (process.stderr.isTTY) process.stderr.write("\r\x1b[K");
}

/** A report, and for shipped code that fails the schedule. */
async function textOf(report: Report, options: Options): Promise<string> {
  const { violation, twin } = report;
  if (violation === undefined || twin || violation.steps === 0) return reportText(report);
  const again = await replayId(violation.id, "steps", options.in);
  return `${reportText(report)}\n\n${chartOf(again, columns())}\n\n       --replay ${violation.id}`;
}

function summary(reports: readonly Report[], seconds: number): string {
  const shipped = reports.filter(({ twin }) => !twin);
  const twins = reports.filter(({ twin }) => twin);
  const hold = shipped.filter(({ passed }) => passed).length;
  const caught = twins.filter(({ passed }) => passed).length;
  const killed = shipped.reduce((sum, { tally }) => sum + tally.killed, 0);
  const schedules = shipped.reduce((sum, { tally }) => sum + tally.schedules, 0);
  const extents = (["exhaustive", "bounded", "interrupted", "violated"] as const)
    .map((extent) => [shipped.filter((report) => report.extent === extent).length, extent] as const)
    .filter(([number]) => number > 0)
    .map(([number, extent]) => `${number} ${extent}`);
  const parts = [`${hold} of ${shipped.length} scenarios hold`];
  if (twins.length > 0) parts.push(`${caught} of ${twins.length} twins caught`);
  return (
    `\n${parts.join(", ")}, in ${seconds.toFixed(1)} s\n` +
    `${count(schedules)} schedules, ${count(killed)} of them with a death; ${extents.join(", ")}\n`
  );
}

async function showReplay(id: string, options: Options): Promise<void> {
  const replayed = await replayId(id, options.accesses ? "accesses" : "steps", options.in);
  const { subject } = await subjectOfReplay(id, options.in);
  const whole = `${subject.name}:${replayed.id}`;
  if (options.save !== undefined) await saveTest(options.save, whole, replayed.violation, options.in);
  if (options.json) {
    process.stdout.write(
      `${JSON.stringify({ ...replayed, id: whole, violation: replayed.violation ?? null }, null, 2)}\n`,
    );
  } else {
    process.stdout.write(`${subject.name}: ${subject.sentence}\n\n${chartOf(replayed, columns())}\n\n`);
    process.stdout.write(replayed.violation === undefined ? "holds\n" : `VIOLATED: ${replayed.violation}\n`);
    if (replayed.id !== id.slice(id.lastIndexOf(":") + 1))
      process.stdout.write(`the whole schedule: ${whole}\n`);
    if (options.save !== undefined) process.stdout.write(`written to ${options.save}\n`);
  }
  if (replayed.violation !== undefined && !subject.twin) process.exitCode = 1;
}

function columns(): number {
  return process.stdout.columns ?? DEFAULT_COLUMNS;
}

function whole(text: string): number {
  if (!/^\d{1,6}$/.test(text)) throw new InvalidArgumentError("It must be a whole number from 0 to 999999.");
  return Number(text);
}

function positive(text: string): number {
  const value = Number(text);
  if (!(value > 0)) throw new InvalidArgumentError("It must be a number above 0.");
  return value;
}

function version(): string {
  const file = readFileSync(new URL(import.meta.resolve("atomics-explorer/package.json")), "utf8");
  return (JSON.parse(file) as { version: string }).version;
}
