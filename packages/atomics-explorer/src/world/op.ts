/** The operations of the seam, as a thread's log has them. */
export const enum Op {
  load = 0,
  store = 1,
  or = 2,
  and = 3,
  add = 4,
  exchange = 5,
  compareExchange = 6,
  load64 = 7,
  store64 = 8,
  compareExchange64 = 9,
  wait = 10,
  notify = 11,
  relax = 12,
  get = 13,
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
  readonly thread: number;
  readonly op: Op;
  readonly word: number;
  /** The operands, in the order of the call. */
  readonly operands: readonly (number | bigint)[];
  readonly result: number | bigint;
}
