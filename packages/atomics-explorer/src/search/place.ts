import type { ExploredMemory } from "../world/memory.js";
import type { ThreadWords } from "../world/thread.js";
import { type Choice, isKill, stepOf, threadOf, timeoutOf } from "./schedule.js";

/** A place in the tree of schedules: how things stood, and what is left to try. */
export interface Place {
  /** The first `total` are in force. */
  readonly choices: Choice[];
  total: number;
  next: number;
  /** The choice that is being followed. */
  chosen: Choice;
  mark: number;
  low: number;
  high: number;
  /** Threads as they stood, {@link FIELDS} numbers each. */
  readonly threads: Int32Array;
  /** The thread that made the last step, -1 for none. */
  last: number;
  preemptions: number;
  timeouts: number;
  kills: number;
  entry: number;
  schedules: number;
  killed: number;
  /** Words that the steps taken from here touch, as thread, word, how. */
  readonly touched: number[];
}

const FIELDS = 7;

export function newPlace(threads: number): Place {
  return {
    choices: [],
    total: 0,
    next: 0,
    chosen: 0,
    mark: 0,
    low: 0,
    high: 0,
    threads: new Int32Array(threads * FIELDS),
    last: -1,
    preemptions: 0,
    timeouts: 0,
    kills: 0,
    entry: 0,
    schedules: 0,
    killed: 0,
    touched: [],
  };
}

/** One more thing that can happen at a place. */
export function offer(place: Place, choice: Choice): void {
  place.choices[place.total++] = choice;
}

/** Fills in a place from how things stand; `before` is where the last step was made from. */
export function savePlace(
  place: Place,
  before: Place | undefined,
  last: number,
  memory: ExploredMemory,
  threads: readonly ThreadWords[],
): void {
  place.total = 0;
  if (place.touched.length > 0) place.touched.length = 0;
  place.next = 0;
  place.mark = memory.mark;
  place.low = memory.low;
  place.high = memory.high;
  place.last = last;
  place.schedules = 0;
  place.killed = 0;
  place.preemptions = before?.preemptions ?? 0;
  place.timeouts = before?.timeouts ?? 0;
  place.kills = before?.kills ?? 0;
  if (before !== undefined) countUse(place, before);
  const saved = place.threads;
  let at = 0;
  for (const thread of threads) {
    saved[at++] = thread.status;
    saved[at++] = thread.length;
    saved[at++] = thread.low;
    saved[at++] = thread.high;
    saved[at++] = thread.waitWord;
    saved[at++] = thread.waitRank;
    saved[at++] = thread.waitTimed;
  }
}

/** The mirror image of {@link savePlace}: makes things stand as they stood. */
export function restorePlace(place: Place, memory: ExploredMemory, threads: readonly ThreadWords[]): void {
  memory.rollback(place.mark);
  memory.low = place.low;
  memory.high = place.high;
  const saved = place.threads;
  let at = 0;
  for (const thread of threads) {
    thread.status = saved[at++]!;
    thread.length = saved[at++]!;
    thread.low = saved[at++]!;
    thread.high = saved[at++]!;
    thread.waitWord = saved[at++]!;
    thread.waitRank = saved[at++]!;
    thread.waitTimed = saved[at++]!;
  }
}

/** What the choice made at `before` uses up of what a schedule may have. */
function countUse(place: Place, before: Place): void {
  const { chosen } = before;
  const index = threadOf(chosen);
  if (isKill(chosen)) place.kills += 1;
  else if (chosen === timeoutOf(index)) place.timeouts += 1;
  else if (before.last !== -1 && before.last !== index && canGoOn(before, before.last))
    place.preemptions += 1;
}

/** Could the thread that ran last have gone on from this place? Its step is then the first choice. */
function canGoOn(place: Place, last: number): boolean {
  return place.choices[0] === stepOf(last);
}
