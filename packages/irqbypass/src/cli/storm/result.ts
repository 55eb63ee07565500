/**
 * What became of a storm, as numbers.
 */
import { HISTOGRAM_WORDS, merge, percentile, record } from "../histogram.js";
import type { Storm } from "./storm-file.js";
import type { LockReport, StepReport } from "./storm-thread.js";

/** One step of all threads together. Times are nanoseconds. */
export interface Phase {
  readonly create: Times;
  readonly destroy: Times;
  readonly lock: Lock;
}

/** What VMs took, each by itself. Nothing happened where `vms` is 0. */
export interface Times {
  readonly vms: number;
  readonly mean: number;
  readonly longest: number;
}

/** The waits for the lock of the host. */
export interface Lock {
  readonly taken: number;
  readonly contended: number;
  /** Sleeps meanwhile. */
  readonly parks: number;
  /** Over every time that it was taken, waited for or not. */
  readonly mean: number;
  readonly p99: number;
  readonly longest: number;
}

export interface Rounds {
  readonly each: readonly Phase[];
  /** The waits of all of them together. */
  readonly lock: Lock;
}

export interface StormResult {
  readonly storm: Storm;
  /** The rounds with nothing else on the host; fewer than asked for where it was stopped. */
  readonly empty: Rounds;
  readonly stood: Phase;
  /** The rounds beside the standing VMs. */
  readonly full: Rounds;
  readonly cleared: Phase;
}

/** The object that `--json` prints for a storm. No field is ever missing. */
export interface JsonStorm {
  readonly storm: Storm;
  readonly phases: readonly JsonPhase[];
  /** A VM's creation beside all that stand, in times of one with nothing beside it: medians of the rounds. */
  readonly create_ratio: number | null;
  readonly destroy_ratio: number | null;
}

export interface JsonPhase {
  readonly phase: "round" | "standing" | "clearing";
  /** irqfds of VMs that stood beside it, at its beginning. */
  readonly beside_irqfds: number;
  readonly vms: number;
  /** For one VM. */
  readonly create_ns: number | null;
  readonly create_longest_ns: number | null;
  readonly destroy_ns: number | null;
  readonly destroy_longest_ns: number | null;
  readonly lock_taken: number;
  readonly lock_contended: number;
  readonly lock_sleeps: number;
  readonly lock_wait_ns: number;
  readonly lock_wait_p99_ns: number;
  readonly lock_wait_longest_ns: number;
}

/** The threads' reports of one step as one. */
export function phaseOf(reports: readonly StepReport[]): Phase {
  return {
    create: timesOf(reports.flatMap((one) => one.create)),
    destroy: timesOf(reports.flatMap((one) => one.destroy)),
    lock: lockOf(reports.map((one) => one.lock)),
  };
}

/** The threads' reports of several rounds. */
export function roundsOf(rounds: readonly (readonly StepReport[])[]): Rounds {
  return { each: rounds.map(phaseOf), lock: lockOf(rounds.flat().map((one) => one.lock)) };
}

function timesOf(ms: readonly number[]): Times {
  const sum = ms.reduce((total, one) => total + one, 0);
  return { vms: ms.length, mean: (sum / Math.max(1, ms.length)) * 1e6, longest: Math.max(0, ...ms) * 1e6 };
}

function lockOf(locks: readonly LockReport[]): Lock {
  const sum = (of: (lock: LockReport) => number) => locks.reduce((total, one) => total + of(one), 0);
  const [taken, contended] = [sum((one) => one.taken), sum((one) => one.contended)];
  const waits = new Int32Array(HISTOGRAM_WORDS);
  for (const one of locks) merge(waits, one.waits);
  // Those that did not wait have waited 0 ns: they count for the percentile.
  record(waits, 0);
  waits[0] = Math.max(0, taken - contended);
  return {
    ...{ taken, contended, parks: sum((one) => one.parks) },
    mean: sum((one) => one.waitedNs) / Math.max(1, taken),
    p99: percentile(waits, 0.99) ?? 0,
    longest: Math.max(0, ...locks.map((one) => one.longestNs)),
  };
}

/** The median of what the rounds took for a VM; `undefined` without rounds. */
export function typical({ each }: Rounds, of: "create" | "destroy"): number | undefined {
  const sorted = each.map((round) => round[of].mean).sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : mean(sorted[middle - 1], sorted[middle]);
}

function mean(a: number | undefined, b: number | undefined): number | undefined {
  return a === undefined || b === undefined ? undefined : (a + b) / 2;
}

/** What a VM takes beside all that stand, in times of one with nothing beside it. */
export function ratio({ empty, full }: StormResult, of: "create" | "destroy"): number | undefined {
  const [alone, beside] = [typical(empty, of), typical(full, of)];
  return alone === undefined || beside === undefined ? undefined : beside / alone;
}

export function stormToJson(result: StormResult): JsonStorm {
  const { storm, empty, stood, full, cleared } = result;
  const standing = storm.standing * storm.irqfds;
  return {
    storm,
    phases: [
      ...empty.each.map((one) => jsonPhase("round", 0, one)),
      jsonPhase("standing", 0, stood),
      ...full.each.map((one) => jsonPhase("round", standing, one)),
      jsonPhase("clearing", standing, cleared),
    ],
    create_ratio: rounded(ratio(result, "create"), 1000),
    destroy_ratio: rounded(ratio(result, "destroy"), 1000),
  };
}

function jsonPhase(phase: JsonPhase["phase"], irqfds: number, { create, destroy, lock }: Phase): JsonPhase {
  const ns = ({ vms }: Times, value: number) => (vms === 0 ? null : Math.round(value));
  return {
    phase,
    beside_irqfds: irqfds,
    vms: Math.max(create.vms, destroy.vms),
    create_ns: ns(create, create.mean),
    create_longest_ns: ns(create, create.longest),
    destroy_ns: ns(destroy, destroy.mean),
    destroy_longest_ns: ns(destroy, destroy.longest),
    lock_taken: lock.taken,
    lock_contended: lock.contended,
    lock_sleeps: lock.parks,
    lock_wait_ns: Math.round(lock.mean),
    lock_wait_p99_ns: lock.p99,
    lock_wait_longest_ns: Math.round(lock.longest),
  };
}

function rounded(value: number | undefined, parts: number): number | null {
  return value === undefined ? null : Math.round(value * parts) / parts;
}
