/**
 * The time limit of a wait, on the clock of its words. One without a limit, Infinity, asks for no clock.
 */
import type { Words } from "./words.js";

/** When a wait of `timeoutMs` that begins now is over. */
export function deadlineOf(words: Words, timeoutMs: number): number {
  return timeoutMs === Infinity ? Infinity : words.clock() + timeoutMs;
}

/** How many milliseconds are left until then: 0 or less where it is over. */
export function leftUntil(words: Words, deadline: number): number {
  return deadline === Infinity ? Infinity : deadline - words.clock();
}
