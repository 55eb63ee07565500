import type { EventfdHost } from "../eventfd/kind.js";
import { addReference, dropReference } from "../eventfd/reference.js";
import { readWait, type WaitOptions } from "../host/argument.js";
import { deadlineOf, leftUntil } from "../host/deadline.js";
import type { IrqBypassError } from "../host/errors.js";
import { Header, Role } from "../host/layout.js";
import type { Words } from "../host/words.js";

/** Says that a path may have changed. Costs one load while nobody watches. */
export function announceChange(words: Words): void {
  if (words.load(Header.watchers) === 0) return;
  words.add(Header.changes, 1);
  words.notify(Header.changes);
}

/** Options of the waits for a change of path. */
export interface ChangeWait extends WaitOptions {}

/**
 * Resolves when `settled` says so, which is asked again after each change of a connection in this host. Rejects with
 * the reason of `signal`, or with what `late` makes of a time that is over. Keeps the event loop alive and does not block.
 * A wait that came to nothing leaves no trace.
 */
export async function untilChange(
  memory: EventfdHost,
  settled: () => boolean,
  late: (timeoutMs: number) => IrqBypassError,
  options: ChangeWait = {},
): Promise<void> {
  const { timeoutMs, signal } = readWait(options);
  const { words, thread } = memory;
  const deadline = deadlineOf(words, timeoutMs);
  memory.checkCall();
  const watcher = memory.mutex.guard(() => addReference(memory, 0, Role.watcher));
  let settles = false;
  try {
    for (;;) {
      const seen = words.load(Header.changes); // before asking: a change from here on is not missed
      settles = settled();
      if (settles) return;
      const left = leftUntil(words, deadline);
      if (left <= 0) throw late(timeoutMs);
      await thread.parkAsync(Header.changes, seen, left, signal);
    }
  } finally {
    dropReference(memory, watcher, !settles);
  }
}
