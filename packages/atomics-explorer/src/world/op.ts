/** The operations of the seam, as a thread's log has them. */
export const enum Op {
  /** {@link Words.load}. */
  load = 0,
  /** {@link Words.store}. */
  store = 1,
  /** {@link Words.or}. */
  or = 2,
  /** {@link Words.and}. */
  and = 3,
  /** {@link Words.add}. */
  add = 4,
  /** {@link Words.exchange}. */
  exchange = 5,
  /** {@link Words.compareExchange}. */
  compareExchange = 6,
  /** {@link Words.load64}. */
  load64 = 7,
  /** {@link Words.store64}. */
  store64 = 8,
  /** {@link Words.compareExchange64}. */
  compareExchange64 = 9,
  /** {@link Words.wait}. */
  wait = 10,
  /** {@link Words.notify}. */
  notify = 11,
  /** {@link Words.relax}. */
  relax = 12,
  /** {@link Words.get}. */
  get = 13,
  /** {@link Words.set}. */
  set = 14,
  /** Asks whether another thread lives. */
  probe = 15,
}

export const OP_NAMES = [
  "load",
  "store",
  "or",
  "and",
  "add",
  "exchange",
  "compareExchange",
  "load64",
  "store64",
  "compareExchange64",
  "wait",
  "notify",
  "relax",
  "get",
  "set",
  "probe",
] as const;

/** How a wait ends, as a log has it. */
export const WAIT_ENDS = ["ok", "not-equal", "timed-out"] as const;

/** What a trace says instead of how a wait ends: the thread sleeps, or waits for a mutex that is assumed to work. */
export const SLEEPS = -1;
export const BLOCKED = -2;

/** One access that was performed, for traces. */
export interface Performed {
  /** Whose access, by the thread's index. */
  readonly thread: number;
  /** Which operation. */
  readonly op: Op;
  /** The word's index. */
  readonly word: number;
  /** The operands, in the order of the call. */
  readonly operands: readonly (number | bigint)[];
  /** What the call returned. */
  readonly result: number | bigint;
}
