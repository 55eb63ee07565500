import { Header, Thread, WAITED } from "./layout.js";
import { BusyError } from "./mutex.js";
import type { Pool } from "./pool.js";
import type { Words } from "./words.js";

/** A signal is a few steps that wait for nobody, but its thread may have been taken off its core in the middle of them. */
const PATIENCE_MS = 100;

/**
 * Before a call that would wait for what is under way, in a thread that may not sleep: where that does not end, as of a thread that
 * has died in it and whose end nobody has proven yet, EAGAIN names the thread. The proof comes to an event loop, which may be that of
 * the very caller: it must return there, and not look on. `mine` is the record of the calling thread.
 */
export function checkPassing(words: Words, threads: Pool, mine: number): void {
  const deadline = words.clock() + PATIENCE_MS;
  for (let slot = 0; slot < words.load(Header.threads); slot++) {
    const record = threads.at(slot);
    if (record === mine) continue;
    for (const inflight of [record + Thread.signalling, record + Thread.writing]) {
      const what = words.load(inflight) & ~WAITED;
      while (what !== 0 && (words.load(inflight) & ~WAITED) === what) {
        if (words.clock() >= deadline) throw new BusyError(`thread ${slot}`, "is in the middle of a signal");
        words.relax();
      }
    }
  }
}
