/**
 * `irqbypass-doctor`: which interrupts of assigned devices go straight into the guest on this host, and if not, why.
 */
import { readFileSync } from "node:fs";
import { Command, InvalidArgumentError } from "commander";
import { inspect } from "../judge/inspect.js";
import type { Report } from "../judge/report.js";
import { isPciAddress } from "../parse/action.js";
import { prometheusText } from "../report/prometheus.js";
import { textReport } from "../report/text.js";
import { Capture } from "../source/capture.js";
import { collectorScript } from "../source/collector.js";
import { DoctorError } from "../source/error.js";
import { NewTree } from "../source/new-tree.js";
import { rightsText } from "../source/rights.js";
import { type DoctorIo, type DoctorOptions, END_SIGNALS, type EndSignal, processIo } from "./io.js";
import { refuseNonsense, refuseTwice } from "./options.js";
import { Output } from "./output.js";
import { storm } from "./storm.js";

export type { DoctorIo, DoctorOptions } from "./io.js";

/** Exit code of a report that could not tell, and of options that make no sense. */
export const CANNOT_TELL = 2;
const DEFAULT_COLUMNS = 100;

/** The command. */
export function doctorCommand(io: DoctorIo = processIo()): Command {
  const output = new Output(io);
  return refuseTwice(
    new Command("irqbypass-doctor")
      .description(
        "say which interrupts of assigned devices bypass this host, and what keeps the others from it",
      )
      .version(version(), "-V, --version", "print the version")
      .option("--pid <pid>", "look at this virtual machine only", wholeNumber)
      .option("--device <bdf>", "look at this device only, such as 0000:3b:00.0", address)
      .option("--interval <seconds>", "time between the two samples", seconds, 2)
      .option("--watch", "go on, and refresh the report after every interval, until Ctrl-C")
      .option("--json", "print the report as JSON; with --watch one report a line")
      .option("--root <dir>", "read a host that is mounted here, such as /host in a container")
      .option("--from <capture>", "read a capture, a directory or a tar archive, instead of this host")
      .option("--capture <dir>", "save the files that were read into this new directory")
      .option("--raw", "with --capture: do not mask command lines, names and paths of files")
      .option("--guest-received", "you saw the guest's own counts of these interrupts grow in the window")
      .option("--write-devid", "on AMD, as root: select each device in debugfs to read its remapping table")
      .option("--trace <seconds>", "as root: follow the tracepoints for this long too", seconds)
      .option("--collector", "print a shell script that makes a capture on a host without Node")
      .option("--prometheus", "print metrics for the textfile collector of node_exporter")
      .option(
        "--storm [count]",
        "measure what assigning and deassigning an irqfd costs, up to this many",
        wholeNumber,
      )
      .option("--force", "with --storm: measure although other processes hold a VM")
      .addHelpText("after", HELP)
      // A wrong option must not look like "one interrupt cannot be posted", which is 1.
      .exitOverride((error) => process.exit(error.exitCode === 0 ? 0 : CANNOT_TELL))
      .configureOutput({
        writeOut: (text) => output.lines(text),
        writeErr: (text) => output.complain(text),
      })
      .action(async (options: DoctorOptions, command: Command) => {
        io.exit(await guarded(command, options, io, output));
      }),
  );
}

const HELP = `
It reads and changes nothing, but for --write-devid, --trace and --storm, which say what they do.

What each source needs. As root all of it is there; without, the rest is read, and
the report says what is missing:
${rightsText(true)}
Exit codes:
  0  every interrupt of an assigned device is posted, or able to be
  1  one cannot be, or was delivered by the host
  2  it could not tell; the report says which right, mount or option is missing.
     Also for options that make no sense
  130, 143, 129  ended by Ctrl-C, by SIGTERM, or because the terminal is gone

Examples:
  sudo irqbypass-doctor
  sudo irqbypass-doctor --device 3b:00.0 --interval 10
  sudo irqbypass-doctor --capture case-1     # masked; attach it to a report
  irqbypass-doctor --from case-1 --json
`;

/** Turns refusals into a line and an exit code; defects pass. */
async function guarded(
  command: Command,
  options: DoctorOptions,
  io: DoctorIo,
  output: Output,
): Promise<number> {
  const abort = new AbortController();
  let ended: EndSignal | undefined;
  const unlisten = io.onInterrupt((signal) => {
    ended ??= signal;
    abort.abort();
  });
  try {
    refuseNonsense(command);
    const code = await run(options, io, output, abort.signal);
    return ended === undefined ? code : 128 + END_SIGNALS[ended];
  } catch (error) {
    if (!(error instanceof DoctorError)) throw error;
    // A report stands there already, and that it is not followed by another was asked for.
    if (error.code !== "EINTR" || options.watch !== true) output.say(error.message);
    return ended === undefined ? CANNOT_TELL : 128 + END_SIGNALS[ended];
  } finally {
    unlisten();
  }
}

async function run(
  options: DoctorOptions,
  io: DoctorIo,
  output: Output,
  signal: AbortSignal,
): Promise<number> {
  if (options.collector === true) {
    output.lines(collectorScript());
    return 0;
  }
  if (options.storm !== undefined) return await storm(options, io, output, signal);
  if (options.watch === true) return await watch(options, io, output, signal);
  const report = await once(options, output, signal);
  print(report, options, io, output);
  return report.verdict.exit;
}

/** One report, with a trace beside it and a capture of it if those were asked for. */
async function once(options: DoctorOptions, output: Output, signal: AbortSignal): Promise<Report> {
  let capture: Capture | undefined;
  let tree: NewTree | undefined;
  try {
    const { report, trace } = await inspect(
      { ...options, interval: options.from === undefined ? options.interval : undefined, signal },
      {
        through: (sampling) => {
          if (options.capture === undefined) return sampling;
          capture = new Capture(sampling);
          return capture;
        },
        looked: () => {
          if (options.capture !== undefined) tree = new NewTree(options.capture);
        },
        waiting: (left) => output.progress(`second sample in ${left.toFixed(1)} s`),
        waited: () => output.progressed(),
        tracing: (left) => output.progress(`tracing for ${left.toFixed(1)} s more`),
        traceStarted: () =>
          output.say(`tracing for ${options.trace} s, start the VM now${lateCheck(options)}`),
        wrote: (what) => output.say(`--write-devid ${what}`),
      },
    );
    if (capture !== undefined && tree !== undefined) {
      const masked = options.raw !== true;
      const count = capture.save(tree, { masked, at: report.measured.at, trace });
      output.say(`saved ${count} files in ${options.capture}, ${masked ? "masked" : "not masked"}`);
    }
    return report;
  } finally {
    tree?.close();
  }
}

/** A VM may start while the trace runs. */
function lateCheck({ pid, device }: DoctorOptions): string {
  const named = [...(pid === undefined ? [] : ["--pid"]), ...(device === undefined ? [] : ["--device"])];
  return named.length === 0 ? "" : `; what ${named.join(" and ")} names is looked for at its end`;
}

/** Reports until interrupted. */
async function watch(
  options: DoctorOptions,
  io: DoctorIo,
  output: Output,
  signal: AbortSignal,
): Promise<number> {
  let code = CANNOT_TELL;
  // Progress is drawn until the first report stands there, and would only flicker under it afterwards.
  let drawn = output;
  while (!signal.aborted) {
    const report = await once(options, drawn, signal);
    if (options.json !== true) output.clear();
    print(report, options, io, output);
    drawn = new Output({ ...io, progress: false });
    code = report.verdict.exit;
  }
  return code;
}

function print(report: Report, options: DoctorOptions, io: DoctorIo, output: Output): void {
  if (options.json === true) output.json(report, options.watch === true);
  else if (options.prometheus === true) output.lines(prometheusText(report));
  else output.report(textReport(report, { width: io.columns ?? DEFAULT_COLUMNS, colour: io.colour }));
}

function wholeNumber(text: string): number {
  if (!/^[1-9]\d{0,9}$/.test(text)) throw new InvalidArgumentError("It must be a whole number above 0.");
  return Number(text);
}

/** A PCI address, with or without its domain; other buses have names of their own, which pass as they are. */
function address(text: string): string {
  const lower = text.toLowerCase();
  const full = /^[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]$/.test(lower) ? `0000:${lower}` : lower;
  if (isPciAddress(full)) return full;
  if (/^[\w.-]{1,64}$/.test(text)) return text;
  throw new InvalidArgumentError("It must be a PCI address such as 0000:3b:00.0 or 3b:00.0.");
}

function seconds(text: string): number {
  const value = Number(text);
  if (text.trim() === "" || !(value >= 0.1 && value <= 3600)) {
    throw new InvalidArgumentError("It must be a number of seconds from 0.1 to 3600.");
  }
  return value;
}

function version(): string {
  const file = readFileSync(new URL("../../../package.json", import.meta.url), "utf8");
  return (JSON.parse(file) as { version: string }).version;
}
