import { WAITED } from "./layout.js";
import type { Words } from "./words.js";

/**
 * Clears an in-flight word of the calling thread, and wakes the fence that waits for it. One step does both the
 * clearing and the look at who waits: between two, a fence could come and be left asleep.
 */
export function leave(words: Words, inflight: number): void {
  if (words.exchange(inflight, 0) & WAITED) words.notify(inflight);
}
