/**
 * What a run found: the data behind the tables, and the object that `--json` prints.
 */
import { HISTOGRAM_WORDS, merge, percentile } from "./histogram.js";

/** The way of an interrupt; see the words of the design. */
export type Path = "posted" | "injected" | "irqfd" | "relayed";

/** One interrupt of one device, and what became of its signals. */
export interface Interrupt {
  readonly vm: string;
  readonly device: string;
  /** Its number among the device's vectors or queues, from 0. */
  readonly index: number;
  readonly gsi: number;
  /** The guest's vector. */
  readonly vector: number;
  readonly eventfd: number;
  readonly path: Path;
  /** Why it is not bypassed; `null` where it is. */
  readonly reason: string | null;
  readonly signals: number;
  /** Runs of the guest's handler. */
  readonly delivered: number;
  /** Bursts whose last index the guest did not note within two seconds. */
  readonly lost: number;
  /** Latency samples; see `histogram.ts`. */
  readonly latency: Int32Array;
}

/** Nanoseconds per interrupt in lock-step, by the way it took, in the best of many turns; `null`: not measured. */
export interface Compare {
  readonly posted: number | null;
  readonly relayed: number | null;
  readonly postMessage: number | null;
}

/** An eventfd that has only one end, in words. */
export interface OneSided {
  /** Which interrupt: `web nic0.3`. */
  readonly name: string;
  readonly eventfd: number;
  readonly end: "producer" | "consumer";
  readonly reason: string | null;
}

export interface RunResult {
  readonly interrupts: readonly Interrupt[];
  readonly oneSided: readonly OneSided[];
  /** Routing updates that moved interrupts to another vCPU while they were live. */
  readonly reroutes: number;
  /** How long the devices signalled. */
  readonly seconds: number;
  readonly compare: Compare;
}

/** The object that `--json` prints. No field is ever missing. */
export interface JsonResult {
  readonly interrupts: readonly JsonInterrupt[];
  readonly totals: {
    readonly signals: number;
    readonly delivered: number;
    readonly coalesced: number;
    readonly lost: number;
    readonly reroutes: number;
    readonly seconds: number;
  };
  /** Nanoseconds; `null` where a run ended before the comparison. */
  readonly compare: {
    readonly posted_ns: number | null;
    readonly relayed_ns: number | null;
    readonly postmessage_ns: number | null;
  };
}

export interface JsonInterrupt {
  readonly vm: string;
  readonly gsi: number;
  readonly vector: number;
  readonly eventfd: number;
  readonly path: Path;
  readonly reason: string | null;
  readonly signals: number;
  readonly delivered: number;
  readonly coalesced: number;
  readonly lost: number;
  /** `null` where nothing was sampled: the guest was never idle when it was signalled. */
  readonly p50_ns: number | null;
  readonly p99_ns: number | null;
}

/** Signals that became part of an interrupt that was already pending. */
export function coalesced(interrupt: Pick<Interrupt, "signals" | "delivered" | "lost">): number {
  // An interrupt that came after its two seconds counts as lost and as delivered.
  return Math.max(0, interrupt.signals - interrupt.delivered - interrupt.lost);
}

export interface Totals {
  readonly signals: number;
  readonly delivered: number;
  readonly coalesced: number;
  readonly lost: number;
}

export function totals(interrupts: readonly Interrupt[]): Totals {
  const sum = (of: (interrupt: Interrupt) => number) => interrupts.reduce((all, one) => all + of(one), 0);
  return {
    signals: sum((one) => one.signals),
    delivered: sum((one) => one.delivered),
    coalesced: sum(coalesced),
    lost: sum((one) => one.lost),
  };
}

/** The latencies of several interrupts as one histogram. */
export function mergedLatency(interrupts: readonly Interrupt[]): Int32Array {
  const all = new Int32Array(HISTOGRAM_WORDS);
  for (const interrupt of interrupts) merge(all, interrupt.latency);
  return all;
}

/** How tables and messages name an interrupt: `web nic0.3`. */
export function interruptName(interrupt: Pick<Interrupt, "vm" | "device" | "index">): string {
  return `${interrupt.vm} ${interrupt.device}.${interrupt.index}`;
}

export function toJson(result: RunResult): JsonResult {
  return {
    interrupts: result.interrupts.map((one) => ({
      vm: one.vm,
      gsi: one.gsi,
      vector: one.vector,
      eventfd: one.eventfd,
      path: one.path,
      reason: one.reason,
      signals: one.signals,
      delivered: one.delivered,
      coalesced: coalesced(one),
      lost: one.lost,
      p50_ns: percentile(one.latency, 0.5),
      p99_ns: percentile(one.latency, 0.99),
    })),
    totals: {
      ...totals(result.interrupts),
      reroutes: result.reroutes,
      seconds: Math.round(result.seconds * 1000) / 1000,
    },
    compare: {
      posted_ns: rounded(result.compare.posted),
      relayed_ns: rounded(result.compare.relayed),
      postmessage_ns: rounded(result.compare.postMessage),
    },
  };
}

function rounded(ns: number | null): number | null {
  return ns === null ? null : Math.round(ns);
}
