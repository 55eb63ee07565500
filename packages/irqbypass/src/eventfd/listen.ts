import { Consumer, Eventfd as E, EventfdFlag, Listening, Thread } from "../host/layout.js";
import type { Words } from "../host/words.js";
import type { EventfdHost, Listen } from "./kind.js";

/** {@link Consumer.leftover}: what the next event tells of where no signal has come with it. */
export const enum Leftover {
  none = 0,
  /** Of the count that was there at assign, which has still to be an interrupt. */
  due = 1,
  /** Of what has been one before its event came. */
  done = 2,
}

/**
 * How an irqfd listens to an eventfd in the host's memory: the writer looks for it, takes its own count out again and makes
 * the irqfd pending. A writer that saw no irqfd is still adding to the counter when `start` is called, which waits for it.
 */
const listenShared: Listen = {
  start(memory, _irqfd, eventfd) {
    memory.thread.fenceAll(Thread.writing, eventfd);
    return memory.words.load64(eventfd + E.counter) !== 0n;
  },
  stop({ words }, irqfd, eventfd) {
    // Writers take their own counts out as long as they see the irqfd. So what is here is no signal that is still to come.
    if (!mayReadOut(words, irqfd)) return;
    const semaphore = (words.load(eventfd + E.flags) & EventfdFlag.semaphore) !== 0;
    for (;;) {
      const count = words.load64(eventfd + E.counter);
      if (count === 0n) return;
      const left = semaphore ? count - 1n : 0n;
      if (words.compareExchange64(eventfd + E.counter, count, left) === count) return;
      words.relax();
    }
  },
};

/** Every signal from before the assign is an interrupt now, or is due. */
export function listensNow(words: Words, irqfd: number, eventfd: number): void {
  words.store(irqfd + Consumer.listening, Listening.yes);
  if ((words.load(eventfd + E.flags) & EventfdFlag.heard) === 0)
    words.or(eventfd + E.flags, EventfdFlag.heard);
}

/** What waits in it counts as heard, until another irqfd has listened; one that listens now goes on. */
export function forget({ words }: EventfdHost, eventfd: number): void {
  words.and(eventfd + E.flags, ~EventfdFlag.heard);
  // Behind it: an irqfd that comes later says so itself.
  if (words.load(eventfd + E.irqfd) !== 0) words.or(eventfd + E.flags, EventfdFlag.heard);
}

/**
 * Whether the caller, which ends the listening, is to read the counter out: once for an irqfd, and only where what is in it
 * has been an interrupt. Where a thread died in its assign or in its deassign, the count stays instead, and nothing is lost.
 */
export function mayReadOut(words: Words, irqfd: number): boolean {
  return words.compareExchange(irqfd + Consumer.listening, Listening.yes, Listening.over) === Listening.yes;
}

/** Does a signal wait in an eventfd whose irqfd was taken away, for another one or for who reads it? Makes system calls as {@link holdsCount}. */
export function isUnheard(memory: EventfdHost, eventfd: number): boolean {
  return (memory.words.load(eventfd + E.flags) & EventfdFlag.heard) !== 0 && holdsCount(memory, eventfd);
}

/**
 * Has an eventfd a count, and no irqfd? Makes system calls for an eventfd of the system's, and under no mutex, so that the eventfd may be
 * gone by now.
 */
export function holdsCount(memory: EventfdHost, eventfd: number): boolean {
  const { words, kinds } = memory;
  if (words.load(eventfd + E.irqfd) !== 0) return false;
  const waits = kinds[words.load(eventfd + E.flags) >>> EventfdFlag.kindShift]?.listen?.waits;
  return waits === undefined ? words.load64(eventfd + E.counter) !== 0n : waits(memory, eventfd);
}

/** How an irqfd listens to an eventfd: its own kind's way, else the eventfd's kind's, else as above. */
export function listenOf({ words, kinds }: EventfdHost, irqfd: number, eventfd: number): Listen {
  const own = kinds[words.get(irqfd + Consumer.kind)]?.listen;
  return own ?? kinds[words.load(eventfd + E.flags) >>> EventfdFlag.kindShift]?.listen ?? listenShared;
}
