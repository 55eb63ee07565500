/**
 * What one interrupt costs each way, measured by two threads that have a host of their own.
 */
import { once } from "node:events";
import { Worker } from "node:worker_threads";
import type { Compare } from "../result.js";
import type { CompareSide } from "./compare-worker.js";

const WORKER = new URL("./compare-worker.js", import.meta.url);
const STOPPED: Compare = { posted: null, relayed: null, postMessage: null };

/**
 * Measures for about a second; nothing else should run. Rejects where an interrupt does not arrive.
 * @param signal ends it early, with nothing measured.
 */
export async function compareWays(signal: AbortSignal): Promise<Compare> {
  if (signal.aborted) return STOPPED;
  const worker = new Worker(WORKER, {
    name: "comparison",
    workerData: { name: "device" } satisfies CompareSide,
  });
  const ended = once(worker, "exit");
  const stop = (): void => void worker.terminate();
  signal.addEventListener("abort", stop, { once: true });
  try {
    const first = await Promise.race([once(worker, "message"), ended]);
    if (signal.aborted) return STOPPED;
    const result: unknown = first[0];
    if (typeof result === "number") throw new Error(`the comparison ended with ${result} and no result`);
    return result as Compare;
  } finally {
    signal.removeEventListener("abort", stop);
    await worker.terminate();
  }
}
