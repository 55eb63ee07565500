/**
 * The library's device behind a device of a run.
 */
import { type EventfdContext, type Host, VdpaDevice, VfioPciDevice, VIRTIO_STATUS } from "../../index.js";
import type { WorkloadDevice } from "../workload.js";

/** Its interrupts are producers until it is disposed. For the thread that made it only. */
export interface AttachedDevice extends Disposable {
  /** Sends one signal: by the number of the vector or queue. */
  readonly signals: readonly (() => void)[];
  /** A level-triggered line: what its device does beside signalling. */
  readonly line?: Line;
}

/** The device's side of a line that stays up until the device lets go of it. */
export interface Line {
  /** Hears of the guest's EOI, and signals again where the device still has something to say. */
  readonly recheck: () => void;
  /** The guest has seen to the device: it lets go of the line. */
  readonly release: () => void;
}

/** Makes a device that signals these eventfds: one vector or queue each. Throws what registering throws. */
export function attachDevice(
  host: Host,
  kind: WorkloadDevice["kind"],
  eventfds: readonly EventfdContext[],
  resample?: EventfdContext,
): AttachedDevice {
  if (kind === "intx") return intx(host, eventfds[0]!, resample!);
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

/** A PCI device with an INTx pin, wired as a VMM wires it: the guest's EOI unmasks the pin. */
function intx(host: Host, eventfd: EventfdContext, resample: EventfdContext): AttachedDevice {
  const device = new VfioPciDevice(host, { intx: true });
  device.setTrigger("intx", 0, eventfd);
  device.setIrqs({
    index: "intx",
    start: 0,
    count: 1,
    action: "unmask",
    data: "eventfd",
    eventfds: [resample],
  });
  return {
    signals: [() => device.intx.assert()],
    line: { recheck: () => device.intx.poll(), release: () => device.intx.deassert() },
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
