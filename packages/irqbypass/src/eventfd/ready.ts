/**
 * What an epoll says to its waiter: which bits may be ready, and whether there is anything to look at. It is the
 * posted-interrupt protocol once more: set the bit, then `ready` even if the bit was set already (whoever set it may have
 * died in between), then wake; the waiter that would sleep clears `ready`, and reads the bits after that.
 *
 * The waiter sleeps on the control word itself. It puts `asleep` there, from 0, and waits for exactly that value; others only
 * set bits, and only the waiter, awake, clears them. So the value cannot come back under a sleeper, and no counter is needed.
 */
import { EPOLL_BITS, Epoll, EpollControl } from "../host/layout.js";
import type { Words } from "../host/words.js";

const WORDS = EPOLL_BITS / 32;

/** Watches of this bit may be ready. From any thread; waits for nobody. */
export function raise(words: Words, epoll: number, bit: number): void {
  const word = epoll + Epoll.bits + (bit >>> 5);
  const mask = 1 << (bit & 31);
  if ((words.load(word) & mask) === 0) words.or(word, mask);
  call(words, epoll, EpollControl.ready);
}

/** Has the waiter look (`ready`), or end its wait (`kicked`). From any thread; waits for nobody. */
export function call(words: Words, epoll: number, why: EpollControl): void {
  const control = epoll + Epoll.control;
  if (words.load(control) & why) return;
  if (words.or(control, why) === EpollControl.asleep) words.notify(control);
}

/**
 * Calls the waiter once more, since whoever set a bit, or did so, may have died before it called, or woke it. One too many does no
 * harm.
 */
export function callAgain(words: Words, epoll: number): void {
  for (let word = epoll + Epoll.bits; word < epoll + Epoll.bits + WORDS; word++)
    if (words.load(word) !== 0) call(words, epoll, EpollControl.ready);
  words.notify(epoll + Epoll.control);
}

/** May there be bits? */
export function isReady(words: Words, epoll: number): boolean {
  return (words.load(epoll + Epoll.control) & EpollControl.ready) !== 0;
}

/** The waiter is about to look, and to sleep if there is nothing; false where nobody has said that there may be. */
export function answer(words: Words, epoll: number): boolean {
  const control = epoll + Epoll.control;
  if ((words.load(control) & EpollControl.ready) === 0) return false;
  words.and(control, ~EpollControl.ready);
  return true;
}

/** Was the wait to end? Then it was, with this. By the waiter. */
export function takeKick(words: Words, epoll: number): boolean {
  const control = epoll + Epoll.control;
  if ((words.load(control) & EpollControl.kicked) === 0) return false;
  words.and(control, ~EpollControl.kicked);
  return true;
}

/** The waiter is about to sleep while the control word holds {@link EpollControl.asleep}; false where it is called. */
export function fallAsleep(words: Words, epoll: number): boolean {
  return words.compareExchange(epoll + Epoll.control, 0, EpollControl.asleep) === 0;
}

/** The mirror image. */
export function wakeUp(words: Words, epoll: number): void {
  words.and(epoll + Epoll.control, ~EpollControl.asleep);
}

/** How many words of bits are in use, from the first on. Looked at after {@link answer}: whoever uses one more has said so before. */
export function wordsInUse(words: Words, epoll: number): number {
  return Math.min(WORDS, (words.load(epoll + Epoll.number) + 31) >>> 5);
}

/** Makes the thread of a record the one that waits; returns who does so already, else 0. */
export function beginWait(words: Words, epoll: number, thread: number): number {
  return words.compareExchange(epoll + Epoll.waiter, 0, thread);
}

/** The mirror image, by that thread, awake. */
export function endWait(words: Words, epoll: number): void {
  words.store(epoll + Epoll.waiter, 0);
}

/** The same where it may be asleep: it has given the wait up, or is gone. Does nothing where another one waits. */
export function abandonWait(words: Words, epoll: number, thread: number): void {
  if (words.load(epoll + Epoll.waiter) !== thread) return;
  wakeUp(words, epoll); // before another one may wait
  endWait(words, epoll);
}
