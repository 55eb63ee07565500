import { Device } from "../host/layout.js";
import type { DeviceLife } from "./device-life.js";
import { checkOpen, type IrqSet, irqError, selects } from "./set-irqs.js";
import { recordOf } from "./trigger-changes.js";

/**
 * The ERR or the REQ index: one eventfd that the device signals to the VMM itself, not to the guest
 * (vfio_pci_set_ctx_trigger_single).
 */
export class DeviceEvent {
  private readonly at: Device.err | Device.req;

  constructor(
    private readonly life: DeviceLife,
    private readonly name: "err" | "req",
  ) {
    this.at = name === "err" ? Device.err : Device.req;
  }

  /** Signals the eventfd, if there is one. From any thread; blocks for the device's mutex. */
  signal(): void {
    this.life.act(() => this.life.signalEventfd(this.at));
  }

  /** Carries out a checked call with action "trigger", under the device's mutex. */
  setIrqs(set: IrqSet): number {
    const { life, name, at } = this;
    if (set.data === "none") {
      if (life.read(at) === 0) throw irqError("EINVAL", name, "has no eventfd: give it one first");
      if (set.count === 0) this.disable();
      else life.signalEventfd(at);
      return 0;
    }
    if (set.count === 0) throw irqError("EINVAL", name, `takes one element with data "${set.data}"`);
    if (set.data === "bool") {
      if (selects(set, 0)) life.signalEventfd(at);
      return 0;
    }
    const eventfd = set.eventfds[0]!;
    if (eventfd !== null) checkOpen(life.host, name, eventfd);
    life.setEventfd(at, recordOf(eventfd));
    return 0;
  }

  disable(): void {
    this.life.setEventfd(this.at, 0);
  }
}
