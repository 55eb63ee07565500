/**
 * The thread of one software vCPU: a guest that handles its interrupts and halts. It ends when the vCPU is kicked,
 * which it notices only when everything posted before is handled.
 */
import { parentPort, workerData } from "node:worker_threads";
import { Vcpu } from "../../index.js";
import { Ledger, type LedgerHandle } from "./ledger.js";
import { join, type Seat } from "./seat.js";
import type { Progress } from "./thread.js";

export interface VcpuWorkerData {
  readonly seat: Seat;
  readonly ledger: LedgerHandle;
  /** The vCPU's handle. */
  readonly vcpu: number;
  /** The vCPU's number in the ledger. */
  readonly number: number;
  /** The guest's handlers: which interrupt a vector is. */
  readonly handlers: readonly VcpuHandler[];
}

export interface VcpuHandler {
  readonly vector: number;
  /** Numbers in the ledger. */
  readonly interrupt: number;
  readonly device: number;
}

/** Between two looks of a guest whose device is in the middle of a long burst; the timer adds about as much. */
const NAP_MS = 0.05;

function runVcpu(data: VcpuWorkerData): void {
  const host = join(data.seat);
  const ledger = new Ledger(data.ledger);
  const vcpu = Vcpu.open(host, data.vcpu);
  const handlers = new Map(data.handlers.map((handler) => [handler.vector, handler]));
  const devices = [...new Set(data.handlers.map(({ device }) => device))];
  const clock = new Int32Array(new SharedArrayBuffer(4));
  tell("ready");
  for (;;) {
    // As under NAPI: while more is sure to come, look again later, in place of being woken for each signal.
    if (devices.some((device) => ledger.isSending(device))) Atomics.wait(clock, 0, 0, NAP_MS);
    ledger.setIdle(data.number, true);
    const wake = vcpu.wait();
    ledger.setIdle(data.number, false);
    if (wake === "kicked") break;
    for (let vector = vcpu.acknowledge(); vector !== undefined; vector = vcpu.acknowledge()) {
      const handler = handlers.get(vector);
      if (handler === undefined)
        throw new Error(`vCPU ${vcpu.index} got vector ${vector}, which no device has`);
      ledger.deliver(handler.interrupt, handler.device);
      vcpu.eoi();
    }
  }
  vcpu.put();
  host.dispose();
  tell("done");
}

function tell(progress: Progress): void {
  parentPort?.postMessage(progress);
}

runVcpu(workerData as VcpuWorkerData);
