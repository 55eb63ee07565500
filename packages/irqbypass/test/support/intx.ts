import type { EventfdContext, VfioPciDevice } from "irqbypass";

/** Has each signal of `eventfd`, or of none, unmask the device's INTx, as VFIO_IRQ_SET_ACTION_UNMASK with an eventfd does. */
export function setUnmask(device: VfioPciDevice, eventfd: EventfdContext | null): void {
  device.setIrqs({
    index: "intx",
    start: 0,
    count: 1,
    action: "unmask",
    data: "eventfd",
    eventfds: [eventfd],
  });
}
