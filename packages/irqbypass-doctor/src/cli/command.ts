/**
 * `irqbypass-doctor`: which interrupts of assigned devices go straight into the guest on this host, and if not, why.
 */
import { readFileSync } from "node:fs";
import { Command, InvalidArgumentError } from "commander";
import { isPciAddress } from "../parse/action.js";
import { collectorScript } from "../source/collector.js";
import { DoctorError } from "../source/error.js";
import { rightsText } from "../source/rights.js";
import { compare } from "./compare.js";
import { CANNOT_TELL, inspectOnce, watch } from "./inspection.js";
import { type DoctorIo, type DoctorOptions, END_SIGNALS, type EndSignal, processIo } from "./io.js";
import { refuseNonsense, refuseTwice } from "./options.js";
import { Output } from "./output.js";
import { storm } from "./storm.js";

export type { DoctorIo, DoctorOptions } from "./io.js";

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
      .option("--for <time>", "with --watch: end after 90s, 10m or 2h, and say which were used", duration)
      .option("--json", "print the report as JSON; with --watch one report a line")
      .option("--root <dir>", "read a host that is mounted here, such as /host in a container")
      .option("--from <capture>", "read a capture, a directory or a tar archive, instead of this host")
      .option("--capture <dir>", "save the files that were read into this new directory")
      .option("--raw", "with --capture: do not mask command lines, names and paths of files")
      .option("--guest-received", "you saw the guest's own counts of these interrupts grow in the window")
      .option(
        "--write-devid",
        "on AMD: select each device in debugfs to read its remapping table; needs a right",
      )
      .option("--trace <seconds>", "follow the tracepoints for this long too; needs a right", seconds)
      .option(
        "--trace-from <file>",
        "read the text of a trace: of trace_pipe, trace-cmd report or perf script",
      )
      .option("--collector", "print a shell script that makes a capture on a host without Node")
      .option("--prometheus", "print metrics for the textfile collector of node_exporter")
      .option(
        "--storm [count]",
        "measure what assigning and deassigning an irqfd costs, up to this many",
        wholeNumber,
      )
      .option(
        "--compare <report...>",
        "compare two reports of --storm --json, or one with this host as it is now",
      )
      .option("--force", "with --storm or --compare: measure although other processes hold a VM")
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
  sudo irqbypass-doctor --watch --for 10m
  trace-cmd report | sudo irqbypass-doctor --trace-from -
  sudo irqbypass-doctor --storm --json > before.json; sudo irqbypass-doctor --compare before.json
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
  if (options.compare !== undefined) return await compare(options, options.compare, io, output, signal);
  if (options.storm !== undefined) return await storm(options, io, output, signal);
  if (options.watch === true) return await watch(options, io, output, signal);
  return await inspectOnce(options, io, output, signal);
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

/** Seconds of "90", "90s", "10m", "2h" or "1d". */
function duration(text: string): number {
  const match = /^(\d{1,6}(?:\.\d{1,3})?)([smhd]?)$/.exec(text);
  const value = match === null ? Number.NaN : Number(match[1]) * UNITS[match[2] as keyof typeof UNITS];
  if (!(value >= 1 && value <= LONGEST_WATCH)) {
    throw new InvalidArgumentError("It must be a time from 1s to 30d, such as 90s, 10m or 2h.");
  }
  return value;
}

const UNITS = { "": 1, s: 1, m: 60, h: 3600, d: 86_400 } as const;
const LONGEST_WATCH = 30 * UNITS.d;

function version(): string {
  const file = readFileSync(new URL(import.meta.resolve("irqbypass-doctor/package.json")), "utf8");
  return (JSON.parse(file) as { version: string }).version;
}
