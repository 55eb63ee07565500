/**
 * One inspection from its options to its report: opens the host or the capture, looks twice, judges.
 */
import { type Host, type Later, readHost, readLater } from "../facts/host.js";
import { unseenProcesses } from "../facts/processes.js";
import { selectDevids } from "../source/devid.js";
import { DoctorError } from "../source/error.js";
import { LiveSource, liveSampling } from "../source/live.js";
import { openSaved } from "../source/saved.js";
import type { AbortSignalLike, Sampling } from "../source/source.js";
import type { TraceFacts } from "../source/trace-facts.js";
import { type Tracing, traceBeside } from "../trace/beside.js";
import { readRecordedTrace } from "../trace/recorded.js";
import { diagnose } from "./diagnose.js";
import type { Report } from "./report.js";

/** What to inspect, and how. Nothing given: this host, two seconds. */
export interface InspectOptions {
  /** A host whose file systems are mounted here, such as "/host" in a container; "/" if neither this nor `from` is. */
  readonly root?: string | undefined;
  /** A capture, a directory or a tar archive, instead of a host. It brings its own window and trace. */
  readonly from?: string | undefined;
  /** Seconds between the two samples, 0.1 to 3600; 2 if not given. */
  readonly interval?: number | undefined;
  /** Only this VM, by the id of its process. */
  readonly pid?: number | undefined;
  /** Only this device: a PCI address with its domain, "0000:3b:00.0", or the name that the report gives it. */
  readonly device?: string | undefined;
  /** The caller saw the guest's own counts of these interrupts grow within the window. */
  readonly guestReceived?: boolean | undefined;
  /** AMD: writes each device's address to debugfs' `devid`, to read its table. It changes what others read there. */
  readonly writeDevid?: boolean | undefined;
  /** Follows the tracepoints for this many seconds too, 0.1 to 3600; the samples are taken at the end. */
  readonly trace?: number | undefined;
  /**
   * A file with the text of a trace that somebody recorded, of trace_pipe, trace-cmd report or perf script, in place of
   * `trace`; "-" is standard input.
   */
  readonly traceFrom?: string | undefined;
  /** Ends the inspection early. */
  readonly signal?: AbortSignalLike | undefined;
}

/** What a caller may take part in: the command draws its progress and makes its captures with these. */
export interface InspectHooks {
  /** Stands in for the sampling, so that what is read through it can be kept. */
  readonly through?: (sampling: Sampling) => Sampling;
  /** The first look is done and was not refused; the wait begins. May throw to end it. */
  readonly looked?: () => void;
  readonly waiting?: (secondsLeft: number) => void;
  /** The wait is over, or was ended. */
  readonly waited?: () => void;
  readonly tracing?: (secondsLeft: number) => void;
  readonly traceStarted?: () => void;
  /** Something was written on the host: a clause that says what and where. */
  readonly wrote?: (what: string) => void;
}

/** A report, and what it was traced with. */
export interface Inspected {
  readonly report: Report;
  readonly trace: TraceFacts | undefined;
}

const DEFAULT_SECONDS = 2;

/**
 * Inspects a host, or a capture of one. What cannot be read is told in the report and is no error. Blocks shortly while
 * files are read; waits between the samples.
 * @throws DoctorError EINVAL for options that make no sense, or a file that is no capture; ENOENT where there is no
 * host, no such VM or no such device; EACCES, EPERM and ENOENT where `trace`, `traceFrom` or `writeDevid` cannot be; E2BIG or EFBIG
 * for a tree of more than a host has; EINTR when `signal` aborts.
 */
export async function inspect(options: InspectOptions, hooks: InspectHooks = {}): Promise<Inspected> {
  check(options);
  const recorded =
    options.traceFrom === undefined ? undefined : await readRecordedTrace(options.traceFrom, options.signal);
  const opened = open(options, recorded);
  let tracing: Tracing | undefined;
  try {
    if (options.trace !== undefined) {
      tracing = startTrace(options, options.trace, hooks);
      await tracing.window;
    }
    return await sample(options, hooks, opened, tracing);
  } finally {
    await tracing?.close();
    const wrote = opened.close();
    if (wrote !== null) hooks.wrote?.(wrote);
  }
}

/** A host or a capture, ready to be sampled. */
interface Opened {
  readonly sampling: Sampling;
  /** Of a capture. */
  readonly at?: string;
  readonly trace?: TraceFacts | undefined;
  /** Gives back what is held, and puts right what was written; says that, if it was. */
  readonly close: () => string | null;
}

function open(options: InspectOptions, recorded: TraceFacts | undefined): Opened {
  if (options.from !== undefined) {
    const { sampling, about, trace, close } = openSaved(options.from);
    if (trace !== undefined && recorded !== undefined) {
      close();
      throw new DoctorError(
        "EINVAL",
        `${options.from} has a trace of its own, and traceFrom names another: leave that out`,
      );
    }
    return {
      sampling,
      at: about.at,
      trace: trace ?? recorded,
      close: () => {
        close();
        return null;
      },
    };
  }
  const live = new LiveSource(options.root);
  const interval = options.interval ?? DEFAULT_SECONDS;
  try {
    if (live.read("proc/sys/kernel/osrelease").state !== "read") {
      throw new DoctorError(
        "ENOENT",
        `${options.root ?? "/"} has no proc/sys/kernel/osrelease: it must be the root of a Linux host with /proc`,
      );
    }
    const selecting = options.writeDevid === true ? selectDevids(live) : undefined;
    return {
      sampling: liveSampling(selecting?.source ?? live, interval),
      trace: recorded,
      close: () => {
        const wrote = selecting?.restore() ?? null;
        live.tree.close();
        return wrote;
      },
    };
  } catch (error) {
    live.tree.close();
    throw error;
  }
}

function startTrace(options: InspectOptions, seconds: number, hooks: InspectHooks): Tracing {
  return traceBeside({
    root: options.root ?? "/",
    seconds,
    interval: options.interval ?? DEFAULT_SECONDS,
    signal: options.signal,
    progress: (left) => hooks.tracing?.(left),
    started: () => hooks.traceStarted?.(),
  });
}

/** Two samples, findings. */
async function sample(
  options: InspectOptions,
  hooks: InspectHooks,
  opened: Opened,
  tracing: Tracing | undefined,
): Promise<Inspected> {
  const sampling = hooks.through?.(opened.sampling) ?? opened.sampling;
  const { signal, pid, device } = options;
  const host = readHost(sampling.first);
  const judged = (later: Later, seconds: number, trace?: TraceFacts) => {
    const report = diagnose({
      host,
      later,
      seconds,
      at: opened.at ?? new Date().toISOString(),
      ...(trace === undefined ? {} : { trace }),
      guestReceived: options.guestReceived === true,
      ...(pid === undefined ? {} : { pid }),
      ...(device === undefined ? {} : { device }),
    });
    refuseNothing(options, report, host);
    return report;
  };
  // What is not there is refused before the wait; while a trace runs it may still come.
  if ((pid !== undefined || device !== undefined) && tracing === undefined) judged(NOTHING, 1);
  hooks.looked?.();
  const window = await sampling
    .second({ ...(signal === undefined ? {} : { signal }), progress: (left) => hooks.waiting?.(left) })
    .finally(() => hooks.waited?.());
  const later = readLater(window.source, host);
  const trace = tracing === undefined ? opened.trace : await tracing.facts;
  return { report: judged(later, window.seconds, trace), trace };
}

/** The second sample before it is taken. */
const NOTHING: Later = {
  interrupts: { state: "absent", path: "proc/interrupts" },
  perCpu: new Map(),
  eventfds: new Map(),
};

/** What --pid and --device name has to be there. */
function refuseNothing({ pid, device }: InspectOptions, report: Report, host: Host): void {
  const devices = host.devices.map(({ address }) => address);
  if (device !== undefined && !devices.includes(device)) {
    const there = devices.length === 0 ? "no device is" : `these are: ${devices.join(", ")}`;
    throw new DoctorError(
      "ENOENT",
      `${device} is not assigned to a VM (not on a VFIO or vDPA driver); ${there}`,
    );
  }
  if (pid !== undefined && report.vms.length === 0) {
    const unseen = unseenProcesses(host.processes);
    const may = unseen === undefined ? "" : `, or may not be looked into without root: ${unseen}`;
    throw new DoctorError(
      "ENOENT",
      `process ${pid} holds no VM${device === undefined ? "" : " with that device"}${may}`,
    );
  }
}

/** Refuses options that make no sense before anything is read. */
function check({ root, from, interval, pid, trace, traceFrom, writeDevid }: InspectOptions): void {
  const refuse = (problem: string): never => {
    throw new DoctorError("EINVAL", problem);
  };
  const seconds = (name: string, value: number | undefined) => {
    if (value !== undefined && !(value >= 0.1 && value <= 3600))
      refuse(`${name} must be a number of seconds from 0.1 to 3600, not ${value}`);
  };
  seconds("interval", interval);
  seconds("trace", trace);
  if (pid !== undefined && !(Number.isInteger(pid) && pid > 0))
    refuse(`pid must be a whole number above 0, not ${pid}`);
  const live = { root, interval, trace, writeDevid: writeDevid === true ? true : undefined };
  const given = Object.entries(live).find(([, value]) => value !== undefined)?.[0];
  if (trace !== undefined && traceFrom !== undefined)
    refuse("trace records a trace, and traceFrom reads one: leave one of them out");
  if (from !== undefined && given !== undefined)
    refuse(`from reads a capture, and ${given} is about a running host: leave one of them out`);
}
