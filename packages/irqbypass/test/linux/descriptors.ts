/** What this process has open, to show that nothing is left behind. */
import { readdirSync, readlinkSync } from "node:fs";
import { setImmediate } from "node:timers/promises";
import type { Worker } from "node:worker_threads";
import { until } from "../support/worker.js";

/** The threads that run: each has descriptors for its event loop, which are closed by the time it says that it has ended. */
const threads = new Set<Worker>();
process.on("worker", (worker) => {
  threads.add(worker);
  worker.once("exit", () => threads.delete(worker));
});

/** A file that a thread has open for the moment in which it loads it. */
const MODULE = /\.(?:[cm]?js|json|node|wasm)$/;

/**
 * The targets of all open descriptors, sorted; the one that reads the list is not among them, nor are modules: another thread may be
 * loading some.
 */
export function openDescriptors(): string[] {
  return readdirSync("/proc/self/fd")
    .flatMap((fd) => {
      try {
        return [readlinkSync(`/proc/self/fd/${fd}`)];
      } catch {
        return []; // the descriptor of the directory itself, closed by now
      }
    })
    .filter((target) => !MODULE.test(target))
    .sort();
}

/**
 * The same once no more threads run than `running`: those that were told to end, as the relay of a host that was disposed is, do so a
 * little later.
 */
export async function settledDescriptors(running = 0): Promise<string[]> {
  await setImmediate(); // Node tells of a thread in the turn after its start
  await until(`no more than ${running} threads run`, () => threads.size <= running);
  return openDescriptors();
}
