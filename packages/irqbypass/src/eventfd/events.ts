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
  const { words, thread, kinds } = memory;
  const found: number[] = [];
  const ofKernel = () => {
    if (words.load(epoll + Epoll.fd) === 0) return;
    for (const { watching } of kinds)
      watching?.take(memory, epoll, most - found.length, (watch) => void found.push(dataOf(words, watch)));
  };
  words.store(thread.writing, epoll);
  try {
    if (kernelFirst) ofKernel();
    if (answer(words, epoll)) takeFired(words, epoll, most, found);
    if (!kernelFirst) ofKernel();
    // Should this thread die with what it has taken, its repair has all of it looked at again.
    if (found.length > 0 && words.load(epoll + Epoll.taker) !== thread.record)
      words.store(epoll + Epoll.taker, thread.record);
  } finally {
    thread.leave(thread.writing);
  }
  return found;
}

/** Goes through the watches from where the last one stopped: the first part of the row that it begins in comes last. */
function takeFired(words: Words, epoll: number, most: number, found: number[]): void {
  const from = words.load(epoll + Epoll.turn);
  let begun: readonly number[] = [];
  const takes = (bit: number, row: readonly number[], first: number, end: number) => {
    for (let index = first; index < end; index++) {
      if (found.length === most) {
        words.store(epoll + Epoll.turn, bit);
        words.store(epoll + Epoll.after, row[index - 1] ?? 0);
        return false;
      }
      if (isReady(words, row[index]!)) report(words, row[index]!, found);
    }
    return true;
  };
  const isThrough = takeBits(words, epoll, from, (bit) => {
    const row = watchesOf(words, epoll, bit);
    const first = bit === from ? row.indexOf(words.load(epoll + Epoll.after)) + 1 : 0;
    if (first > 0) begun = row.slice(0, first);
    return takes(bit, row, first, row.length);
  });
  const isCut = !isThrough || !takes(from, begun, 0, begun.length);
  if (isCut && begun.length > 0) raise(words, epoll, from);
}

function report(words: Words, watch: number, found: number[]): void {
  found.push(dataOf(words, watch));
  if (words.get(watch + Watch.edge) === 0) fire(words, watch);
}

/** Those that share a bit. */
function watchesOf(words: Words, epoll: number, bit: number): number[] {
  const row: number[] = [];
  for (
    let watch = words.load(epoll + Epoll.rows + bit);
    watch !== 0;
    watch = words.load(watch + Watch.nextInRow)
  )
    row.push(watch);
  return row;
}

function isReady(words: Words, watch: number): boolean {
  if (words.load(watch + Watch.fired) === 0) return false;
  words.store(watch + Watch.fired, 0); // before the counter is read: what comes after that fires it again
  return words.load64(words.get(watch + Watch.eventfd) + Eventfd.counter) !== 0n;
}
