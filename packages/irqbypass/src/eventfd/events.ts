/**
 * What a waiter takes out of an epoll: bits say which watches to look at, and the counter whether their eventfd is ready.
 */
import { Epoll, EpollControl, Eventfd, Watch } from "../host/layout.js";
import type { Words } from "../host/words.js";
import type { EventfdHost } from "./kind.js";
import { answer, call, isReady, raise, wordsInUse } from "./ready.js";
import { dataOf, fire } from "./watch.js";

/**
 * What is ready, at most `most` of it; the next call begins with what did not fit. What is level-triggered
 * stays as it is, so that the next call looks at it again. By the one thread that waits; waits for nobody. Announced before any watch is looked at:
 * whoever removes one waits for this to be through.
 */
export function takeEvents(memory: EventfdHost, epoll: number, most: number, kernelFirst: boolean): number[] {
  const { words, thread } = memory;
  const found: number[] = [];
  words.store(thread.writing, epoll);
  try {
    const asksKernel = words.load(epoll + Epoll.fd) !== 0;
    if (asksKernel && kernelFirst) takeOfKernel(memory, epoll, most, found);
    if (isReady(words, epoll)) {
      takeFired(memory, epoll, most, found);
      // Cleared before a look after which the waiter may sleep; what that finds may be ready the next time, too.
      if (found.length === 0 && answer(words, epoll)) {
        takeFired(memory, epoll, most, found);
        if (found.length > 0) call(words, epoll, EpollControl.ready);
      }
    }
    if (asksKernel && !kernelFirst) takeOfKernel(memory, epoll, most, found);
    // Should this thread die with what it has taken, its repair has all of it looked at again.
    if (found.length > 0 && words.load(epoll + Epoll.taker) !== thread.record)
      words.store(epoll + Epoll.taker, thread.record);
  } finally {
    thread.leave(thread.writing);
  }
  return found;
}

function takeOfKernel(memory: EventfdHost, epoll: number, most: number, found: number[]): void {
  const { words, kinds } = memory;
  for (const { watching } of kinds)
    watching?.take(memory, epoll, most - found.length, (watch) => void found.push(dataOf(words, watch)));
}

/**
 * Goes through the bits that are set, from where the last one stopped on and around, each once: takes them out and goes through their
 * rows; what comes before that in its row comes last.
 */
function takeFired(memory: EventfdHost, epoll: number, most: number, found: number[]): void {
  const { words } = memory;
  const turn = words.load(epoll + Epoll.turn);
  let skipped = 0;
  for (let from = turn, end = wordsInUse(words, epoll) * 32; ; ) {
    const next = look(memory, epoll, from, end);
    if (next === 0) {
      if (turn === 0 || end === turn) break;
      from = 0;
      end = turn;
      continue;
    }
    const bit = next > 0 ? words.get(next + Watch.bit) : ~next;
    from = bit + 1;
    if (next > 0 && found.length < most) {
      found.push(dataOf(words, next)); // and nothing of it changes
      continue;
    }
    let first = words.load(epoll + Epoll.rows + bit);
    words.and(epoll + Epoll.bits + (bit >>> 5), ~(1 << (bit & 31))); // before its watches are looked at: one that is fired from here on sets it again
    if (bit === turn) {
      skipped = skippedOf(words, epoll, first);
      if (skipped !== 0) first = skipped;
    }
    if (takeRow(words, epoll, bit, first, 0, most, found)) continue;
    raise(words, epoll, bit);
    if (skipped !== 0) raise(words, epoll, turn);
    return;
  }
  if (skipped === 0) return;
  const head = words.load(epoll + Epoll.rows + turn);
  if (!takeRow(words, epoll, turn, head, skipped, most, found)) raise(words, epoll, turn);
}

function look({ words, compiled, base }: EventfdHost, epoll: number, from: number, end: number): number {
  if (compiled === undefined) return nextFired(words, epoll, from, end);
  return compiled.nextFired(base, epoll, from, end);
}

/**
 * Looks for a bit that is set, from `from` on and below `end`; 0 where there is none. In the common case, a level-triggered watch that
 * shares its bit with none, it looks at the counter as well: returns the watch where that is ready, and takes the bit out where it is not.
 * Of any other bit it returns the complement. Compiled to WebAssembly as well (`assembly/compile.mjs`).
 */
export function nextFired(words: Words, epoll: number, from: number, end: number): number {
  for (let bit = from; bit < end; bit++) {
    const word = epoll + Epoll.bits + (bit >>> 5);
    const left = words.load(word) & (-1 << (bit & 31));
    if (left === 0) {
      bit |= 31;
      continue;
    }
    const mask = left & -left;
    bit = (bit | 31) - Math.clz32(mask);
    if (bit >= end) break;
    const watch = words.load(epoll + Epoll.rows + bit);
    if (watch === 0 || (words.get(watch + Watch.edge) | words.load(watch + Watch.nextInRow)) !== 0)
      return ~bit;
    if (isCounted(words, watch)) return watch;
    words.and(word, ~mask);
    words.store(watch + Watch.fired, 0);
    if (!isCounted(words, watch)) continue; // whoever counts from here on fires it again
    fire(words, watch);
    return watch;
  }
  return 0;
}

/** Where to begin in the row that the last one stopped in, if not at its head; 0 else. */
function skippedOf(words: Words, epoll: number, head: number): number {
  const begin = words.load(epoll + Epoll.begin);
  return begin !== 0 && begin !== head && isInRow(words, head, begin) ? begin : 0;
}

function isInRow(words: Words, head: number, wanted: number): boolean {
  let watch = head;
  while (watch !== 0 && watch !== wanted) watch = words.load(watch + Watch.nextInRow);
  return watch !== 0;
}

/** The watches that share a bit, from `first` up to `end`. Returns false, and remembers where that was, when there is no room. */
function takeRow(
  words: Words,
  epoll: number,
  bit: number,
  first: number,
  end: number,
  most: number,
  found: number[],
): boolean {
  for (let watch = first; watch !== end && watch !== 0; watch = words.load(watch + Watch.nextInRow)) {
    if (found.length === most) {
      words.store(epoll + Epoll.turn, bit);
      words.store(epoll + Epoll.begin, watch);
      return false;
    }
    if (!wasFired(words, watch)) continue;
    found.push(dataOf(words, watch));
    if (words.get(watch + Watch.edge) === 0) fire(words, watch);
  }
  return true;
}

function wasFired(words: Words, watch: number): boolean {
  if (words.load(watch + Watch.fired) === 0) return false;
  words.store(watch + Watch.fired, 0); // before the counter is read: what comes after that fires it again
  return isCounted(words, watch);
}

/** Is there something in the counter of its eventfd? */
function isCounted(words: Words, watch: number): boolean {
  return words.load64(words.get(watch + Watch.eventfd) + Eventfd.counter) !== 0n;
}
