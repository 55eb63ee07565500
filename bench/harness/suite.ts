/**
 * What a suite is: contestants that do the same work, and the trials in which they meet.
 *
 * Every contestant of a trial runs in a process of its own, so that none is compiled with another's types in mind and
 * none pays for another's garbage. The harness asks each for one round in turn, so that what the machine does
 * meanwhile happens to all of them. Between two rounds a contestant is quiet: nothing of it spins.
 */

export type Parameters = Readonly<Record<string, number>>;

/** What one round measured. */
export interface Sample {
  /** By the key of the {@link Measure}, in its unit. */
  readonly values: Readonly<Record<string, number>>;
  /** Where single latencies were measured: pairs of a bucket (see `cli/histogram.ts`) and how many fell into it. */
  readonly latencies?: readonly (readonly [bucket: number, count: number])[];
}

export type Round = () => Sample | Promise<Sample>;

/** Makes ready and returns what measures one round. Throws {@link Unavailable} where the machine lacks what it takes. */
export type Prepare = (parameters: Parameters) => Round | Promise<Round>;

/** A contestant that cannot take part here, and why. */
export class Unavailable extends Error {}

/** A C program of `bench/c`, compiled with `cc`; it speaks the same protocol as the other contestants. */
export interface Native {
  /** File name within `bench/c`. */
  readonly source: string;
  readonly arguments: (parameters: Parameters) => readonly string[];
}

export type Contestant = Prepare | Native;

export type Unit = "ns" | "bytes" | "per second" | "per 1,000";

export interface Measure {
  readonly key: string;
  readonly title: string;
  readonly unit: Unit;
}

/** Contestants that meet with the same parameters. */
export interface Trial {
  readonly title: string;
  readonly parameters: Parameters;
  /** Names of the suite's contestants; the others' ratios are to the first. */
  readonly contestants: readonly string[];
}

export interface Suite {
  readonly name: string;
  /** What is measured and how, in a sentence or two. */
  readonly about: string;
  /** The first is the one that ratios are given of. */
  readonly measures: readonly Measure[];
  readonly contestants: Readonly<Record<string, Contestant>>;
  /** `quick` is a run of a few seconds that shows that everything works. */
  readonly trials: (quick: boolean) => readonly Trial[];
  /** One round is enough: what is measured does not vary. */
  readonly rounds?: 1;
  /** What the reader should know beside the figures. */
  readonly notes?: readonly string[];
}

/** How long a contestant measures in one round, in milliseconds; a parameter of every trial. */
export function roundMs({ roundMs }: Parameters): number {
  return roundMs ?? 20;
}
