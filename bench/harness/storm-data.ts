import { HISTOGRAM_WORDS } from "irqbypass/internal/cli/histogram.js";

/** What a thread of the storm gets. */
export interface StormData {
  readonly host: unknown;
  /** Heads of the lists; 0 for the library's own manager. */
  readonly heads: number;
  readonly consumers: Int32Array;
  readonly eventfds: Int32Array;
  readonly result: Int32Array<SharedArrayBuffer>;
}

/** What a thread notes in its `result` at the end of a round. Times are in nanoseconds, at most 2^31. */
export const Result = {
  done: 0,
  operations: 1,
  taken: 2,
  contended: 3,
  parks: 4,
  waitedUs: 5,
  longestNs: 6,
  histogram: 16,
  words: 16 + HISTOGRAM_WORDS,
} as const;
