/** What each thread says that it is in the middle of. */
import { Header, Thread, WAITED } from "./layout.js";
import type { Words } from "./words.js";

/**
 * Clears an in-flight word of the calling thread, and wakes the fence that waits for it. One step does both the
 * clearing and the look at who waits: between two, a fence could come and be left asleep.
 */
export function leave(words: Words, inflight: number): void {
  if (words.exchange(inflight, 0) & WAITED) words.notify(inflight);
}

/**
 * Is another thread signalling, writing or relaying at this moment? Where none is, `quiesce` has nothing to wait for.
 * `mine` is the calling thread's record. Compiled to WebAssembly as well (`assembly/compile.mjs`).
 */
export function inFlight(words: Words, mine: number): boolean {
  const end = Header.words + words.load(Header.threads) * Thread.words; // theirs is the first pool
  for (let record: number = Header.words; record < end; record += Thread.words) {
    if (record === mine) continue;
    if ((words.load(record + Thread.signalling) | words.load(record + Thread.writing)) & ~WAITED) return true;
  }
  return false;
}
