import type { EventfdContext } from "../eventfd/context.js";
import type { HostMemory } from "../host/memory.js";
import { checkOpen, type IrqSet, irqError, selects } from "./set-irqs.js";

/**
 * The ERR or the REQ index: one eventfd that the device signals to the VMM itself, not to the guest
 * (vfio_pci_set_ctx_trigger_single).
 */
export class DeviceEvent {
  private trigger: EventfdContext | null = null;

  constructor(
    private readonly host: HostMemory,
    private readonly name: "err" | "req",
  ) {}

  /** Signals the eventfd, if there is one that is open. */
  signal(): void {
    if (this.trigger?.closed === false) this.trigger.signal();
  }

  /** Carries out a checked call with action "trigger". */
  setIrqs(set: IrqSet): number {
    if (set.data === "none") {
      if (this.trigger === null) throw irqError("EINVAL", this.name, "has no eventfd: give it one first");
      if (set.count === 0) this.trigger = null;
      else this.signal();
      return 0;
    }
    if (set.count === 0) throw irqError("EINVAL", this.name, `takes one element with data "${set.data}"`);
    if (set.data === "bool") {
      if (selects(set, 0)) this.signal();
      return 0;
    }
    const eventfd = set.eventfds[0]!;
    if (eventfd !== null) checkOpen(this.host, this.name, eventfd);
    this.trigger = eventfd;
    return 0;
  }

  disable(): void {
    this.trigger = null;
  }
}
