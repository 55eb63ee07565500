/** What other threads are in the middle of, for who waits until that is past. */
import { Header, Thread, WAITED } from "./layout.js";
import { BusyError, type MutexThread } from "./mutex.js";
import type { Pool } from "./pool.js";
import type { Words } from "./words.js";

/** A signal is a few steps that wait for nobody, but its thread may have been taken off its core in the middle of them. */
const PATIENCE_MS = 100;

/** Visits the in-flight words of each other thread that name something, with what they name. `mine` is the record of the calling thread. */
export function eachInFlight(
  words: Words,
  threads: Pool,
  mine: number,
  visit: (inflight: number, what: number, record: number) => void,
): void {
  const used = words.load(Header.threads);
  for (let slot = 0; slot < used; slot++) {
    const record = threads.at(slot);
    if (record === mine) continue;
    for (const inflight of [record + Thread.signalling, record + Thread.writing]) {
      const what = words.load(inflight) & ~WAITED;
      if (what !== 0) visit(inflight, what, record);
    }
  }
}

/**
 * Before a call that would wait for what is under way, in a thread that may not sleep: where that does not end, as of a thread that
 * has died in it and whose end nobody has proven yet, EAGAIN names the thread. The proof comes to an event loop, which may be that of
 * the very caller: it must return there, and not look on.
 */
export function checkPassing(words: Words, threads: Pool, mine: number): void {
  const deadline = words.clock() + PATIENCE_MS;
  eachInFlight(words, threads, mine, (inflight, what, record) => {
    while ((words.load(inflight) & ~WAITED) === what) {
      if (words.clock() >= deadline)
        throw new BusyError(`thread ${threads.slot(record)}`, "is in the middle of a signal");
      words.relax();
    }
  });
}

/**
 * Before the caller looks again for what another thread is deassigning, of which nothing tells when that is through: it is a few fences,
 * and the other lives or is repaired after. A thread that may not sleep is refused where it does not pass, for the same reason, unless its
 * call had `begun` before it looked.
 */
export function beforeNextLook(
  words: Words,
  thread: MutexThread,
  begun: boolean,
  subject: string,
  hasPassed: () => boolean,
): void {
  thread.begun = begun; // the look has changed nothing
  if (!thread.mayBlock && !begun && !thread.spin(hasPassed))
    throw new BusyError(subject, "is being deassigned by another thread");
  words.relax();
}
