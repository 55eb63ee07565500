import type { Choice } from "./schedule.js";

/** What an exploration found so far. */
export interface Tally {
  /** Steps made. */
  transitions: number;
  /** Different states seen; 0 where every schedule is run by itself. */
  states: number;
  /** Schedules run to their end or to a state that was known. */
  runs: number;
  /** Schedules that these stand for; above 2^53 it is rounded. */
  schedules: number;
  /** Those of them in which a thread is killed. */
  killed: number;
  /** The longest schedule, in steps. */
  depth: number;
  /** How likely a state was missed because its fingerprint was that of another. */
  missProbability: number;
}

/** What is wrong, and the schedule that shows it. */
export interface Violation {
  /** What is wrong. */
  readonly message: string;
  /** The schedule that shows it: who went on at each step. */
  readonly choices: readonly Choice[];
  /** How often that takes over from a thread that could go on. */
  readonly preemptions: number;
}

export const newTally = (): Tally => ({
  transitions: 0,
  states: 0,
  runs: 0,
  schedules: 0,
  killed: 0,
  depth: 0,
  missProbability: 0,
});
