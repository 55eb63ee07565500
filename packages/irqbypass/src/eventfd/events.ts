/**
 * What a waiter takes out of an epoll: bits say which watches to look at, and the counter whether their eventfd is ready.
 */
import { Epoll, Eventfd, Watch } from "../host/layout.js";
import type { Words } from "../host/words.js";
import type { EventfdHost } from "./kind.js";
import { answer, isReady, raise, wordsInUse } from "./ready.js";
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
      takeFired(words, epoll, most, found);
      // Cleared before a look after which the waiter may sleep; where something was found, that may be ready the next time, too.
      if (found.length === 0 && answer(words, epoll)) takeFired(words, epoll, most, found);
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
 * Takes out the bits that are set, from where the last one stopped on and around, each once, and goes through their rows: what comes
 * before that in its row comes last.
 */
function takeFired(words: Words, epoll: number, most: number, found: number[]): void {
  const turn = words.load(epoll + Epoll.turn);
  const used = wordsInUse(words, epoll);
  const below = (1 << (turn & 31)) - 1; // bits of the first word that are the last ones
  let skipped = 0;
  for (let step = 0, index = turn >>> 5; step <= used; step++, index = index + 1 < used ? index + 1 : 0) {
    const word = epoll + Epoll.bits + index;
    const mask = step === 0 ? ~below : step === used ? below : -1;
    if (mask === 0) continue;
    for (let left = words.load(word) & mask; left !== 0; left &= left - 1) {
      const bit = index * 32 + 31 - Math.clz32(left & -left);
      let first = words.load(epoll + Epoll.rows + bit);
      if (found.length < most && isAlone(words, first) && isCounted(words, first)) {
        found.push(dataOf(words, first)); // and nothing of it changes
        continue;
      }
      words.and(word, ~(left & -left)); // before its watches are looked at: one that is fired from here on sets it again
      if (bit === turn) {
        skipped = skippedOf(words, epoll, first);
        if (skipped !== 0) first = skipped;
      }
      if (takeRow(words, epoll, bit, first, 0, most, found)) continue;
      raise(words, epoll, bit);
      if (skipped !== 0) raise(words, epoll, turn);
      return;
    }
  }
  if (skipped === 0) return;
  const head = words.load(epoll + Epoll.rows + turn);
  if (!takeRow(words, epoll, turn, head, skipped, most, found)) raise(words, epoll, turn);
}

/** The common case in short: a level-triggered watch that shares its bit with none. The bit says that it was fired. */
function isAlone(words: Words, watch: number): boolean {
  return watch !== 0 && words.get(watch + Watch.edge) === 0 && words.load(watch + Watch.nextInRow) === 0;
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
