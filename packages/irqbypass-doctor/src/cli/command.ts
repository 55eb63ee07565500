/**
 * `irqbypass-doctor`: which interrupts of assigned devices go straight into the guest on this host, and if not, why.
 */
import { readFileSync } from "node:fs";
import { Command, InvalidArgumentError } from "commander";
import { readHost, readLater } from "../facts/host.js";
import { diagnose } from "../judge/diagnose.js";
import type { Report } from "../judge/report.js";
import { isPciAddress } from "../parse/action.js";
import { prometheusText } from "../report/prometheus.js";
import { textReport } from "../report/text.js";
import { Capture, makeCaptureDir } from "../source/capture.js";
import { collectorScript } from "../source/collector.js";
import { selectingDevid } from "../source/devid.js";
import { DoctorError } from "../source/error.js";
import { LiveSource, liveSampling } from "../source/live.js";
import { openSaved, type SavedTree } from "../source/saved.js";
import type { Sampling } from "../source/source.js";
import { type DoctorIo, type DoctorOptions, processIo } from "./io.js";
import { storm } from "./storm.js";
import { type Tracing, trace } from "./trace.js";

export type { DoctorIo, DoctorOptions } from "./io.js";

/** Ended by Ctrl-C: 128 + SIGINT, as shells have it. */
const INTERRUPTED = 130;
const CANNOT_TELL = 2;
const DEFAULT_COLUMNS = 100;

/** The command. */
export function doctorCommand(io: DoctorIo = processIo()): Command {
  return (
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
      .option("--from <dir>", "read a capture instead of this host")
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
      .action(async (options: DoctorOptions) => {
        io.exit(await guarded(options, io));
      })
  );
}

const HELP = `
It reads and changes nothing, but for --write-devid, --trace and --storm, which say what they do.

Exit codes:
  0  every interrupt of an assigned device is posted, or able to be
  1  one cannot be, or was delivered by the host
  2  it could not tell; the report says which right, mount or option is missing.
     Also for options that make no sense
  130  ended by Ctrl-C

Examples:
  sudo irqbypass-doctor
  sudo irqbypass-doctor --device 3b:00.0 --interval 10
  sudo irqbypass-doctor --capture case-1     # masked; attach it to a report
  irqbypass-doctor --from case-1 --json
`;

/** Turns refusals into a line and an exit code; defects pass. */
async function guarded(options: DoctorOptions, io: DoctorIo): Promise<number> {
  const abort = new AbortController();
  const unlisten = io.onInterrupt(() => abort.abort());
  try {
    refuseNonsense(options);
    if (options.collector === true) {
      io.stdout(collectorScript());
      return 0;
    }
    if (options.storm !== undefined) return await storm(options, io, abort.signal);
    return options.watch === true
      ? await watch(options, io, abort.signal)
      : await once(options, io, abort.signal, (report) => print(report, options, io));
  } catch (error) {
    if (!(error instanceof DoctorError)) throw error;
    io.stderr(`irqbypass-doctor: ${error.message}\n`);
    return error.code === "EINTR" ? INTERRUPTED : CANNOT_TELL;
  } finally {
    unlisten();
  }
}

/** Refuses options that contradict each other before anything is read. */
function refuseNonsense(options: DoctorOptions): void {
  const refuse = (message: string): never => {
    throw new DoctorError("EINVAL", message);
  };
  if (options.from !== undefined) {
    const live = [
      ["--root", options.root],
      ["--capture", options.capture],
      ["--watch", options.watch],
      ["--trace", options.trace],
      ["--write-devid", options.writeDevid],
    ].find(([, value]) => value !== undefined);
    if (live !== undefined)
      refuse(`--from reads a capture, and ${live[0]} needs a running host: leave one of them out`);
  }
  if (options.storm !== undefined) {
    const other = (["pid", "device", "watch", "root", "from", "capture", "trace"] as const).find(
      (name) => options[name] !== undefined,
    );
    if (other !== undefined)
      refuse(`--storm measures this host's kernel and reports nothing else: leave --${other} out`);
  } else if (options.force === true) refuse("--force is about --storm: give both");
  if (options.raw === true && options.capture === undefined) refuse("--raw is about --capture: give both");
  if (options.watch === true && options.capture !== undefined) {
    refuse("--capture saves two samples, and --watch takes more: leave one of them out");
  }
  if (options.json === true && options.prometheus === true) refuse("give --json or --prometheus, not both");
  if (options.watch === true && options.prometheus === true) {
    refuse("--prometheus writes the metrics of one sample, and --watch takes more: leave one of them out");
  }
}

/** One report, with a trace beside it if that was asked for. */
async function once(
  options: DoctorOptions,
  io: DoctorIo,
  signal: AbortSignal,
  show: (report: Report) => void,
): Promise<number> {
  if (options.capture !== undefined) makeCaptureDir(options.capture);
  if (options.trace === undefined) return await sample(options, io, signal, show);
  const tracing = trace(options.trace, options, io, signal);
  try {
    await tracing.window;
    return await sample(options, io, signal, show, tracing);
  } finally {
    await tracing.close();
  }
}

/** Two samples, findings, output. */
async function sample(
  options: DoctorOptions,
  io: DoctorIo,
  signal: AbortSignal,
  show: (report: Report) => void,
  tracing?: Tracing,
): Promise<number> {
  const { sampling: plain, saved } = open(options);
  const capture = options.capture === undefined ? undefined : new Capture(plain);
  const sampling = capture ?? plain;

  const host = readHost(sampling.first);
  const progress = io.progress
    ? (left: number) => io.stderr(`\rsecond sample in ${left.toFixed(1)} s `)
    : undefined;
  const window = await sampling
    .second(progress === undefined ? { signal } : { signal, progress })
    .finally(() => {
      if (io.progress) io.stderr("\r\u001b[K");
    });
  const later = readLater(window.source, host);
  const traced = tracing === undefined ? saved?.trace : await tracing.facts;
  const at = saved?.about.at ?? new Date().toISOString();

  const report = diagnose({
    host,
    later,
    seconds: window.seconds,
    at,
    ...(traced === undefined ? {} : { trace: traced }),
    guestReceived: options.guestReceived === true,
    ...(options.pid === undefined ? {} : { pid: options.pid }),
    ...(options.device === undefined ? {} : { device: options.device }),
  });
  if (capture !== undefined && options.capture !== undefined) {
    const masked = options.raw !== true;
    const count = capture.save(options.capture, { masked, at, trace: traced });
    io.stderr(
      `irqbypass-doctor: saved ${count} files in ${options.capture}, ${masked ? "masked" : "not masked"}\n`,
    );
  }
  refuseNothing(
    options,
    report,
    host.devices.map((device) => device.address),
  );
  show(report);
  return report.verdict.exit;
}

/** What --pid and --device name has to be there. */
function refuseNothing(options: DoctorOptions, report: Report, devices: readonly string[]): void {
  if (options.device !== undefined && !devices.includes(options.device)) {
    const there = devices.length === 0 ? "no device is" : `these are: ${devices.join(", ")}`;
    throw new DoctorError(
      "ENOENT",
      `${options.device} is not assigned to a VM (not on a VFIO or vDPA driver); ${there}`,
    );
  }
  if (options.pid !== undefined && report.vms.length === 0) {
    const may = report.missing.some(({ path }) => path === "/proc/*/fd")
      ? ", or may not be looked into without root"
      : "";
    throw new DoctorError(
      "ENOENT",
      `process ${options.pid} holds no VM${options.device === undefined ? "" : " with that device"}${may}`,
    );
  }
}

/** The host that the options name, ready to be sampled. */
function open(options: DoctorOptions): { sampling: Sampling; saved: SavedTree | undefined } {
  if (options.from !== undefined) {
    const saved = openSaved(options.from);
    return { sampling: saved.sampling, saved };
  }
  const root = options.root ?? "/";
  const live = new LiveSource(root);
  if (live.read("proc/sys/kernel/osrelease").state !== "read") {
    throw new DoctorError(
      "ENOENT",
      `${root} has no proc/sys/kernel/osrelease: it must be the root of a Linux host with /proc`,
    );
  }
  const source = options.writeDevid === true ? selectingDevid(live, root) : live;
  return { sampling: liveSampling(source, options.interval), saved: undefined };
}

/** Reports until interrupted; the exit code is that of the last one. */
async function watch(options: DoctorOptions, io: DoctorIo, signal: AbortSignal): Promise<number> {
  let code = 2;
  let shown = false;
  const quiet: DoctorIo = { ...io, progress: false };
  while (!signal.aborted) {
    try {
      code = await once(options, shown ? quiet : io, signal, (report) => {
        const clear = io.columns !== undefined && options.json !== true ? "\u001b[H\u001b[2J" : "";
        if (clear !== "") io.stdout(clear);
        print(report, options, io);
      });
      shown = true;
    } catch (error) {
      if (!(error instanceof DoctorError && error.code === "EINTR")) throw error;
    }
  }
  return shown ? code : INTERRUPTED;
}

function print(report: Report, options: DoctorOptions, io: DoctorIo): void {
  if (options.json === true) {
    io.stdout(`${JSON.stringify(report, undefined, options.watch === true ? undefined : 2)}\n`);
    return;
  }
  if (options.prometheus === true) {
    io.stdout(prometheusText(report));
    return;
  }
  io.stdout(textReport(report, { width: io.columns ?? DEFAULT_COLUMNS, colour: io.colour }));
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
