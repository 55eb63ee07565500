import type { AbortSignalLike } from "./argument.js";
import type { Platform } from "./platform.js";
import type { Words } from "./words.js";

/**
 * `Words.waitAsync`, which ends early when `signal` is aborted, and keeps the event loop alive. `onWaker` gets what ends it from
 * this thread, and later the function is called that it returned. Rejects with the reason of the abort.
 */
export async function sleepAsync(
  words: Words,
  platform: Platform,
  word: number,
  expected: number,
  timeoutMs: number,
  signal?: AbortSignalLike,
  onWaker?: (wake: () => void) => () => void,
): Promise<void> {
  signal?.throwIfAborted();
  const release = platform.hold();
  // Nothing can call off a waiter but a wake-up, and a wake-up too many is harmless to every waiter here.
  const wake = () => void words.notify(word);
  signal?.addEventListener("abort", wake, { once: true });
  const forget = onWaker?.(wake);
  try {
    await words.waitAsync(word, expected, timeoutMs);
  } finally {
    forget?.();
    signal?.removeEventListener("abort", wake);
    release();
  }
  signal?.throwIfAborted();
}
