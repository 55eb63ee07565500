import { readWait, show, type WaitOptions } from "./argument.js";
import { deadlineOf } from "./deadline.js";
import { IrqBypassError } from "./errors.js";
import type { HostMemory } from "./memory.js";
import { BusyError } from "./mutex.js";

/** Whoever has a mutex has it for a few steps: until it is tried again. */
const PAUSE_MS = 2;

/**
 * Makes a call that may find a mutex busy, again and again until it does not, and does not block in between. By a timer and not by a
 * wait at the mutex: there it would take a wake-up that is another thread's, and nothing in it needs `Atomics.waitAsync`.
 */
export async function whenFree<T>(
  memory: HostMemory,
  call: () => T | PromiseLike<T>,
  options: WaitOptions,
): Promise<T> {
  const { timeoutMs, signal } = readWait(options);
  if (typeof call !== "function")
    throw new IrqBypassError("EINVAL", `${show(call)} cannot be called: pass a function that makes the call`);
  const { words } = memory;
  const deadline = deadlineOf(words, timeoutMs);
  for (;;) {
    memory.checkCall();
    signal?.throwIfAborted();
    try {
      return await call();
    } catch (error) {
      if (!(error instanceof BusyError) || words.clock() >= deadline) throw error;
    }
    await pause(memory);
  }
}

function pause({ platform }: HostMemory): Promise<void> {
  const release = platform.hold();
  return new Promise((resolve) => {
    const stop = platform.every(PAUSE_MS, () => {
      stop();
      release();
      resolve();
    });
  });
}
