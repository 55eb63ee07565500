/**
 * What a waiter takes out of an epoll: bits say which watches to look at, and the counter whether their eventfd is ready.
 */
import { Epoll, Eventfd, Watch } from "../host/layout.js";
import type { Words } from "../host/words.js";
import type { EventfdHost } from "./kind.js";
import { answer, raise, takeBits } from "./ready.js";
import { dataOf, fire } from "./watch.js";

/**
 * What is ready, at most `most` of it; the next call begins with what did not fit. Level-triggered watches are fired again, so
 * that the next call looks at them. By the one thread that waits; waits for nobody. Announced before any watch is looked at:
 * whoever removes one waits for this to be through.
 */
export function takeEvents(memory: EventfdHost, epoll: number, most: number, kernelFirst: boolean): number[] {
  const { words, thread } = memory;
  const found: number[] = [];
  words.store(thread.writing, epoll);
  try {
    const asksKernel = words.load(epoll + Epoll.fd) !== 0;
    if (asksKernel && kernelFirst) takeOfKernel(memory, epoll, most, found);
    if (answer(words, epoll)) takeFired(words, epoll, most, found);
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

/** Goes through the watches from where the last one stopped: what comes before that in its row comes last. */
function takeFired(words: Words, epoll: number, most: number, found: number[]): void {
  const turn = words.load(epoll + Epoll.turn);
  const begin = words.load(epoll + Epoll.begin);
  let skipped = false;
  const isThrough = takeBits(words, epoll, turn, (bit) => {
    let first = words.load(epoll + Epoll.rows + bit);
    if (bit === turn && begin !== 0 && begin !== first && isInRow(words, first, begin)) {
      first = begin;
      skipped = true;
    }
    return takeRow(words, epoll, bit, first, 0, most, found);
  });
  if (!skipped) return;
  const head = words.load(epoll + Epoll.rows + turn);
  if (!isThrough || !takeRow(words, epoll, turn, head, begin, most, found)) raise(words, epoll, turn);
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
    if (!isReady(words, watch)) continue;
    found.push(dataOf(words, watch));
    if (words.get(watch + Watch.edge) === 0) fire(words, watch);
  }
  return true;
}

function isReady(words: Words, watch: number): boolean {
  if (words.load(watch + Watch.fired) === 0) return false;
  words.store(watch + Watch.fired, 0); // before the counter is read: what comes after that fires it again
  return words.load64(words.get(watch + Watch.eventfd) + Eventfd.counter) !== 0n;
}
