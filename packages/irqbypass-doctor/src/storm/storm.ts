/**
 * `--storm`: what assigning and deassigning one more irqfd costs on this kernel as their number grows, and whether it
 * shows the list of kernel bugzilla 217379: up to Linux 6.16 irqbypass looked for duplicates by walking every consumer
 * of the host under one mutex.
 *
 * The one part of the doctor that changes anything: it makes VMs and irqfds of its own and takes them away again.
 */
import { DoctorError } from "../source/error.js";
import { rightFor } from "../source/rights.js";
import { known, type Source } from "../source/source.js";
import { consumerRegistration, freeDescriptors, type OtherVms, otherVms } from "./host.js";
import {
  type ConsumerRegistration,
  type CostPoint,
  type Growth,
  growth,
  judge,
  type StormVerdict,
} from "./judge.js";
import type { StormKernel } from "./kernel.js";
import { runSteps, type StormEnd, type StormStep, stepCounts } from "./steps.js";

/** irqfds that the storm goes up to if not told otherwise: enough to tell a list walk from noise on most machines. */
export const STORM_DEFAULT = 10_000;
const STORM_MOST = 1_000_000;
const SAMPLES = 200;
const LIMIT_MS = 30_000;
/** Descriptors left to the process for everything else. */
const RESERVE = 64;

export interface StormOptions {
  /** Standing irqfds to go up to, 1 to 1,000,000. */
  readonly upTo?: number | undefined;
  /** Go on although other processes hold a VM, or may hold one. */
  readonly force?: boolean | undefined;
  /** Time for the way up, in milliseconds; the way down adds what closing takes. */
  readonly limitMs?: number | undefined;
  /** Pairs sampled at each count. */
  readonly samples?: number | undefined;
  /** Ends the storm early; what was measured until then is reported. */
  readonly signal?: AbortSignal | undefined;
}

/** What the storm needs of its surroundings. */
export interface StormIo {
  /** The running host; the storm makes no sense on a saved one. */
  readonly source: Source;
  readonly openKernel: () => Promise<StormKernel>;
  /** This process, which does not count as another one that holds a VM. */
  readonly pid: number;
  /** Monotonic milliseconds, and the time of day. */
  readonly now: () => number;
  readonly date: () => Date;
  /** Called now and then with the number of standing irqfds. */
  readonly progress?: ((standing: number) => void) | undefined;
}

/** Plain data; what `--storm --json` prints. Times are nanoseconds unless the name says otherwise. */
export interface StormReport {
  /** The format of this data; another number is another format. */
  readonly format: "irqbypass-storm/1";
  /** What the growth shows. */
  readonly verdict: StormVerdict;
  /** The same as a sentence. */
  readonly says: string;
  /** The exit code of the command. */
  readonly exit: 0 | 1 | 2;
  /** When and where. */
  readonly measured: {
    /** When it ended, ISO 8601 in UTC. */
    readonly at: string;
    /** The release, as uname has it. */
    readonly kernel: string;
    /** How long it took, in milliseconds. */
    readonly tookMs: number;
  };
  /** How many irqfds were asked for. */
  readonly asked: number;
  /** What the limit of descriptors left of it. */
  readonly upTo: number;
  /** Why it went no further. */
  readonly ended: StormEnd;
  /** Whether KVM registers irqfds with irqbypass here. */
  readonly registration: ConsumerRegistration;
  /** What was measured, by the number of irqfds. */
  readonly steps: readonly StormStep[];
  /** Growth of the tenth percentile against all irqfds of the host, in the small VM. */
  readonly host: {
    /** Of an assign; null where too little was measured. */
    readonly assign: Growth | null;
    /** Of a deassign; null where too little was measured. */
    readonly deassign: Growth | null;
  };
  /** Growth against the irqfds of one VM: KVM's own list of that VM, which is not what the bug is about. */
  readonly vm: {
    /** Of an assign; null where too little was measured. */
    readonly assign: Growth | null;
    /** Of a deassign; null where too little was measured. */
    readonly deassign: Growth | null;
  };
  /** Sentences: what was cut, and what else the reader should know. */
  readonly notes: readonly string[];
}

/**
 * Runs the storm. Blocks the thread for microseconds at a time, and while a VM is closed (up to a second for ten
 * thousand irqfds); closes all that it opened on every path.
 * @throws DoctorError EINVAL for a count out of range or with no descriptors left; EBUSY while other processes hold
 * or may hold a VM and `force` is not set; what {@link StormIo.openKernel} and the kernel's calls throw.
 */
export async function runStorm(options: StormOptions, io: StormIo): Promise<StormReport> {
  const asked = options.upTo ?? STORM_DEFAULT;
  if (!Number.isInteger(asked) || asked < 1 || asked > STORM_MOST) {
    throw new DoctorError(
      "EINVAL",
      `--storm takes a whole number from 1 to ${count(STORM_MOST)}, not ${asked}`,
    );
  }
  const notes: string[] = [];
  const others = otherVms(io.source, io.pid);
  if (others.pids.length > 0 || others.hidden.length > 0 || others.unlisted !== undefined) {
    if (options.force !== true) throw new DoctorError("EBUSY", refusal(others));
    notes.push(`Forced: ${whoElse(others)}; their load is in the figures.`);
  }
  const upTo = affordable(asked, freeDescriptors(io.source), notes);
  const registration = consumerRegistration(io.source);
  const kernel = await io.openKernel();
  const started = io.now();
  try {
    const { steps, ended } = await runSteps(kernel, {
      counts: stepCounts(upTo),
      samples: options.samples ?? SAMPLES,
      limitMs: options.limitMs ?? LIMIT_MS,
      signal: options.signal,
      progress: io.progress,
      now: io.now,
    });
    if (ended === "time limit") notes.push(`Time was up before ${count(upTo)} irqfds stood.`);
    const host = {
      assign: growth(hostPoints(steps, "assign")),
      deassign: growth(hostPoints(steps, "deassign")),
    };
    const vm = { assign: growth(vmPoints(steps, "assign")), deassign: growth(vmPoints(steps, "deassign")) };
    const judged =
      ended === "interrupted"
        ? { verdict: "could not tell" as const, says: "Interrupted before the second pass was done." }
        : judge(host.assign, registration);
    return {
      format: "irqbypass-storm/1",
      ...judged,
      exit: judged.verdict === "no list" ? 0 : judged.verdict === "list" ? 1 : 2,
      measured: {
        at: io.date().toISOString(),
        kernel: known(io.source.read("proc/sys/kernel/osrelease"))?.trim() ?? "unknown",
        tookMs: Math.round(io.now() - started),
      },
      asked,
      upTo,
      ended,
      registration,
      steps,
      host,
      vm,
      notes,
    };
  } finally {
    kernel.dispose();
  }
}

// The line is drawn through the tenth percentile: what a list walk adds it adds to every call, while what other load
// on the machine adds it adds to some.

function hostPoints(steps: readonly StormStep[], which: "assign" | "deassign"): CostPoint[] {
  return steps.flatMap((step) =>
    [step.up, step.down].flatMap((cost) =>
      cost === null ? [] : [{ count: step.count, ns: cost[which].p10 }],
    ),
  );
}

function vmPoints(steps: readonly StormStep[], which: "assign" | "deassign"): CostPoint[] {
  return steps.map(({ crowded }) => ({ count: crowded.irqfds, ns: crowded[which].p10 }));
}

/** As many irqfds as the descriptors allow: one for each, and one for the VM of each step. */
function affordable(asked: number, free: number | null, notes: string[]): number {
  if (free === null) {
    notes.push("The limit of open files could not be read from /proc/self/limits; it was not heeded.");
    return asked;
  }
  const room = free - RESERVE - stepCounts(asked).length;
  if (room >= asked) return asked;
  if (room < 1) {
    throw new DoctorError(
      "EINVAL",
      `--storm may open only ${count(free)} more files; raise the limit with: ulimit -n ${asked + 1000}`,
    );
  }
  notes.push(
    `Asked for ${count(asked)} irqfds; the limit of open files allows ${count(room)}. ` +
      `Raise it with: ulimit -n ${asked + 1000}`,
  );
  return room;
}

function refusal(others: OtherVms): string {
  return (
    `--storm does not run while ${whoElse(others)}: on a kernel with the list it holds the host-wide irqbypass mutex ` +
    "for long, and each deassign waits for the teardown jobs of all VMs, so their guests would feel it and the " +
    `figures would be theirs too; ${others.pids.length > 0 ? "stop them" : `seeing them needs ${rightFor("processes")}`}, ` +
    "or measure all the same with --force"
  );
}

function whoElse({ pids, hidden, unlisted }: OtherVms): string {
  const clauses: string[] = [];
  if (pids.length > 0) clauses.push(`${processes(pids)} ${pids.length === 1 ? "holds a VM" : "hold VMs"}`);
  if (hidden.length > 0) clauses.push(`${processes(hidden)} cannot be looked into and may hold a VM`);
  if (unlisted !== undefined) clauses.push(`a process may hold a VM and not show (${unlisted})`);
  return clauses.join(" and ");
}

function processes(pids: readonly number[]): string {
  const shown = pids.slice(0, 5).join(", ");
  const more = pids.length > 5 ? ` and ${count(pids.length - 5)} more` : "";
  return `${pids.length === 1 ? "process" : "processes"} ${shown}${more}`;
}

function count(value: number): string {
  return value.toLocaleString("en-US");
}
