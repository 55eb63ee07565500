import { Eventfd } from "../host/layout.js";
import type { Words } from "../host/words.js";
import { REASONS, type Reason, reasonCode } from "./reason.js";

/**
 * Signals of an eventfd that an irqfd took and that went nowhere, as they would in the kernel: it has no route for them, or
 * what is at its end takes none. They are not pending, and no later change delivers them.
 */
export interface Dropped {
  /** How many since the eventfd was made; it begins again at 0 after 2^32. */
  readonly count: number;
  /** Why the last one was. */
  readonly reason: Reason;
}

/** Counts a signal of an eventfd that went nowhere. From any thread; the caller keeps the eventfd alive. */
export function drop(words: Words, eventfd: number, reason: Reason): void {
  words.store(eventfd + Eventfd.droppedFor, reasonCode(reason)); // before the count: whoever sees that sees why
  words.add(eventfd + Eventfd.dropped, 1);
}

/** What was dropped of an eventfd, undefined for nothing. */
export function droppedOf(words: Words, eventfd: number): Dropped | undefined {
  const count = words.load(eventfd + Eventfd.dropped) >>> 0;
  const reason = REASONS[words.load(eventfd + Eventfd.droppedFor)];
  return count === 0 || reason === undefined || reason === "none" ? undefined : { count, reason };
}
