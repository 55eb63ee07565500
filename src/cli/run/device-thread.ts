/**
 * What the thread of a device does: it makes its interrupts producers, works, and unregisters them when released.
 */
import { parentPort } from "node:worker_threads";
import { Eventfd } from "../../index.js";
import { LinuxEventfd } from "../../linux/index.js";
import type { WorkloadDevice } from "../workload.js";
import { attachDevice, attachPin } from "./attached-device.js";
import { type DeviceJob, runDevice, type Signaller } from "./device.js";
import { Ledger, type LedgerHandle } from "./ledger.js";
import { join, type Seat } from "./seat.js";
import type { Progress } from "./thread.js";

export interface DeviceThreadData {
  readonly seat: Seat;
  readonly ledger: LedgerHandle;
  readonly kind: WorkloadDevice["kind"];
  readonly job: DeviceJob;
  readonly interrupts: readonly DeviceInterrupt[];
}

/** One interrupt of the device; its position is the number of the vector or queue. */
export interface DeviceInterrupt extends Omit<Signaller, "signal" | "poll"> {
  /** The eventfd's handle. */
  readonly eventfd: number;
  /** Level-triggered: the handle of what the guest's EOI signals. */
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
  const resamples = data.interrupts.flatMap(({ resample, mailbox }) =>
    resample === undefined ? [] : [{ eventfd: Eventfd.open(host, resample), mailbox }],
  );
  const [pin] = resamples;
  const device =
    pin === undefined
      ? attachDevice(host, data.kind, eventfds)
      : attachPin(host, eventfds[0]!, pin.eventfd, pin.mailbox);
  const { poll } = device;
  const signallers = data.interrupts.map(({ interrupt, mailbox, vcpu, mayMoveTo }, i): Signaller => {
    return {
      ...{ interrupt, mailbox, vcpu, signal: alter(device.signals[i]!) },
      ...(poll === undefined ? {} : { poll }),
      ...(mayMoveTo === undefined ? {} : { mayMoveTo }),
    };
  });
  parentPort?.once("message", () => {
    device[Symbol.dispose]();
    for (const eventfd of [...eventfds, ...resamples.map((one) => one.eventfd)]) eventfd.close();
    host.dispose();
  });
  tell("ready");
  runDevice(ledger, data.job, signallers);
  tell("done");
}

function tell(progress: Progress): void {
  parentPort?.postMessage(progress);
}
