/**
 * The library's device behind a device of a run.
 */
import { type EventfdContext, type Host, VdpaDevice, VfioPciDevice, VIRTIO_STATUS } from "../../index.js";
import type { WorkloadDevice } from "../workload.js";
import type { Mailbox } from "./ledger.js";

/** Its interrupts are producers until it is disposed. For the thread that made it only. */
export interface AttachedDevice extends Disposable {
  /** Sends one signal: by the number of the vector or queue. */
  readonly signals: readonly (() => void)[];
  /** Level-triggered: looks whether the guest has ended its interrupt, and fires again while there is more to say. */
  readonly poll?: () => void;
}

/** Makes a device that signals these eventfds: one vector or queue each. Throws what registering throws. */
export function attachDevice(
  host: Host,
  kind: WorkloadDevice["kind"],
  eventfds: readonly EventfdContext[],
): AttachedDevice {
  return kind === "nic" ? vfioPci(host, eventfds) : vdpa(host, eventfds);
}

/** A PCI device with MSI-X vectors. */
function vfioPci(host: Host, eventfds: readonly EventfdContext[]): AttachedDevice {
  const device = new VfioPciDevice(host, { msix: eventfds.length });
  const signals = eventfds.map((eventfd, number) => {
    device.setTrigger("msix", number, eventfd);
    const vector = device.vector("msix", number);
    return () => vector.signal();
  });
  return { signals, [Symbol.dispose]: () => device.dispose() };
}

/**
 * A PCI device with an INTx pin. The guest's EOI signals `unmask`; the line is up as long as the guest has not noted the
 * last index, which is how it acknowledges the device.
 */
export function attachPin(
  host: Host,
  eventfd: EventfdContext,
  unmask: EventfdContext,
  { words, used, seen }: Mailbox,
): AttachedDevice {
  const device = new VfioPciDevice(host, { intx: true });
  const { intx } = device;
  device.setTrigger("intx", 0, eventfd);
  const one = { index: "intx", start: 0, count: 1 } as const;
  device.setIrqs({ ...one, action: "unmask", data: "eventfd", eventfds: [unmask] });
  return {
    signals: [() => intx.assert()],
    poll() {
      if (Atomics.load(words, seen) === Atomics.load(words, used)) intx.deassert();
      intx.poll();
    },
    [Symbol.dispose]: () => device.dispose(),
  };
}

/** A vDPA device whose driver is up: each virtqueue has an interrupt of its own. */
function vdpa(host: Host, eventfds: readonly EventfdContext[]): AttachedDevice {
  const device = new VdpaDevice(host, { queues: eventfds.length, ops: { getVqIrq: (queue) => queue } });
  const session = device.open();
  const signals = eventfds.map((eventfd, number) => {
    session.setVringCall(number, eventfd);
    const queue = device.queue(number);
    return () => queue.signal();
  });
  const { acknowledge, driver, featuresOk, driverOk } = VIRTIO_STATUS;
  session.setStatus(acknowledge | driver | featuresOk | driverOk);
  return { signals, [Symbol.dispose]: () => device.dispose() };
}
