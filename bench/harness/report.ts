/** What a run of the benchmark says: the object that `--json` prints. */
import type { Spread } from "./statistics.js";
import type { Measure, Parameters } from "./suite.js";

/** One contestant's figures for one measure. */
export interface Figure extends Spread {
  /** How many times that of the trial's first contestant, by the median of the rounds; 1 for the first itself. */
  readonly ratio: number;
  readonly rounds: readonly number[];
}

export interface Row {
  readonly contestant: string;
  /** By the key of the measure; none where it is unavailable. */
  readonly figures: Readonly<Record<string, Figure>>;
  /** Why it could not take part. */
  readonly unavailable?: string;
  /** Latencies of all rounds together: pairs of a bucket and a count. */
  readonly latencies?: readonly (readonly [bucket: number, count: number])[];
}

export interface TrialReport {
  readonly title: string;
  readonly parameters: Parameters;
  readonly rows: readonly Row[];
}

export interface SuiteReport {
  readonly name: string;
  readonly about: string;
  readonly notes: readonly string[];
  readonly measures: readonly Measure[];
  readonly trials: readonly TrialReport[];
  /** Of a suite that was recorded by itself: when, and where. */
  readonly apart?: { readonly date: string; readonly machine: Machine };
}

export interface Machine {
  readonly processor: string;
  readonly cores: number;
  readonly memoryGiB: number;
  readonly virtual: boolean;
  readonly system: string;
  readonly node: string;
  /** First line of `cc --version`, null where there is none. */
  readonly cc: string | null;
  /** Load average of the last minute when the run began: above 0 somebody else was at work. */
  readonly load: number;
}

export interface Report {
  readonly date: string;
  readonly quick: boolean;
  readonly machine: Machine;
  readonly seconds: number;
  readonly suites: readonly SuiteReport[];
}

/** A figure of a report, or undefined where it was not measured. `trial` is the trial's title. */
export function figure(
  report: Report,
  suite: string,
  trial: string,
  contestant: string,
  measure: string,
): Figure | undefined {
  return report.suites
    .find(({ name }) => name === suite)
    ?.trials.find(({ title }) => title === trial)
    ?.rows.find((row) => row.contestant === contestant)?.figures[measure];
}
