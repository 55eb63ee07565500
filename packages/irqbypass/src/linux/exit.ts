/**
 * What must happen before the process ends.
 *
 * Node joins its worker threads when the process exits, by process.exit() or by an uncaught error, and a worker
 * inside a blocking system call never comes back by itself. So whoever blocks a thread leaves a callback here
 * that ends the call.
 */

// The one list of a thread that no object holds: it mirrors the one `process`, whose listeners are limited to
// ten before Node warns of a leak, while a monitor may well run more VMs.
const callbacks = new Set<() => void>();

function runAll(): void {
  for (const callback of callbacks) callback();
}

/**
 * Runs `callback` when this thread's `process` exits; it must not throw and must not wait for events. Returns
 * the function that takes it back. A thread ended by `worker.terminate()` runs none.
 */
export function beforeExit(callback: () => void): () => void {
  if (callbacks.size === 0) process.on("exit", runAll);
  callbacks.add(callback);
  return () => {
    if (callbacks.delete(callback) && callbacks.size === 0) process.off("exit", runAll);
  };
}
