/**
 * What the thread of a device does: it makes its interrupts producers, works, and unregisters them when released.
 */
import { parentPort } from "node:worker_threads";
import { Eventfd } from "../../index.js";
import { LinuxEventfd } from "../../linux/index.js";
import type { WorkloadDevice } from "../workload.js";
import { attachDevice } from "./attached-device.js";
import { runDevice, type Signaller } from "./device.js";
import { Ledger, type LedgerHandle } from "./ledger.js";
import { join, type Seat } from "./seat.js";
import type { Progress } from "./thread.js";

export interface DeviceThreadData {
  readonly seat: Seat;
  readonly ledger: LedgerHandle;
  readonly kind: WorkloadDevice["kind"];
  /** Its number in the ledger. */
  readonly device: number;
  readonly interrupts: readonly DeviceInterrupt[];
}

/** One interrupt of the device; its position is the number of the vector or queue. */
export interface DeviceInterrupt extends Omit<Signaller, "signal" | "line"> {
  /** The eventfd's handle. */
  readonly eventfd: number;
  /** The resample eventfd's handle, of a level-triggered one. */
  readonly resample?: number;
  /** Is it one of the kernel's? */
  readonly linux: boolean;
}

/**
 * Runs a device until the ledger is stopped. Blocks its thread.
 * @param alter stands between the device and its interrupts; for a twin that loses some.
 */
export function deviceThread(data: DeviceThreadData, alter = (signal: () => void) => signal): void {
  const host = join(data.seat);
  const ledger = new Ledger(data.ledger);
  const eventfds = data.interrupts.map(({ eventfd, linux }) =>
    linux ? LinuxEventfd.open(host, eventfd) : Eventfd.open(host, eventfd),
  );
  const [first] = data.interrupts;
  const resample = first?.resample === undefined ? undefined : Eventfd.open(host, first.resample);
  const device = attachDevice(host, data.kind, eventfds, resample);
  const line = device.line === undefined ? {} : { line: device.line };
  const signallers = data.interrupts.map(({ interrupt, mailbox, vcpu, burst, rate }, i): Signaller => {
    return { interrupt, mailbox, vcpu, burst, rate, signal: alter(device.signals[i]!), ...line };
  });
  parentPort?.once("message", () => {
    device[Symbol.dispose]();
    for (const eventfd of eventfds) eventfd.close();
    resample?.close();
    host.dispose();
  });
  tell("ready");
  runDevice(ledger, data.device, signallers);
  tell("done");
}

function tell(progress: Progress): void {
  parentPort?.postMessage(progress);
}
