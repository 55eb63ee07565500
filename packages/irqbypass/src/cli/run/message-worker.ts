/**
 * A guest whose interrupts are messages: what the comparison sets the others against.
 */
import { parentPort, workerData } from "node:worker_threads";
import { Ledger, type LedgerHandle } from "./ledger.js";
import type { Progress } from "./thread.js";

export interface MessageWorkerData {
  readonly ledger: LedgerHandle;
  /** Numbers in the ledger. */
  readonly interrupt: number;
  readonly device: number;
}

const { ledger: handle, interrupt, device } = workerData as MessageWorkerData;
const ledger = new Ledger(handle);
parentPort?.on("message", () => ledger.deliver(interrupt, device));
const ready: Progress = "ready";
parentPort?.postMessage(ready);
