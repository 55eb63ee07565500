import type { Path } from "../bypass/path.js";
import type { EventfdContext } from "../eventfd/context.js";
import { Shown } from "../host/shown.js";
import type { Reason } from "../posting/reason.js";
import type { Signalled, Trigger } from "./trigger.js";
import type { TriggerChange } from "./trigger-changes.js";

/**
 * One MSI or MSI-X vector: what the device fires. It has a mask bit and a pending bit, as the guest sees them in the
 * MSI-X table and the PBA (PCI Express base specification, "MSI and MSI-X"); they live as long as the device, whatever
 * happens to the trigger. For the thread that made the device only.
 */
export class DeviceVector extends Shown {
  readonly number: number;
  /** Where a signal goes: nowhere while it is held back. */
  private armed: Signalled | undefined;
  private maskBit = false;
  private functionMask = false;
  private pendingBit = false;

  /** @internal Devices make their vectors. */
  constructor(
    number: number,
    private readonly trigger: Trigger,
  ) {
    super();
    this.number = number;
  }

  /**
   * The device raises the interrupt. While it is masked it stays pending, once however often it is raised. Waits for nobody.
   * Throws EBADF where it goes through an eventfd whose handle was closed.
   */
  signal(): void {
    const armed = this.armed;
    if (armed !== undefined) armed.signal();
    else this.pendingBit = true;
  }

  /** Sets the mask bit: signals are held back from now on. */
  mask(): void {
    this.maskBit = true;
    this.rearm();
  }

  /** Clears the mask bit; what was held back fires once, as soon as there is a trigger. */
  unmask(): void {
    this.maskBit = false;
    this.rearm();
  }

  /**
   * Is it held back, by its own mask bit, by the function mask, or because it has no trigger? Linux keeps the entry of such a
   * vector masked: all are when MSI-X is enabled, and each again when its interrupt is freed (pci_irq_shutdown_msix).
   */
  get masked(): boolean {
    return this.armed === undefined;
  }

  /** Was it raised while masked? */
  get pending(): boolean {
    return this.pendingBit;
  }

  /** Which way a signal would go now, the mask aside; undefined without a trigger. */
  get path(): Path | undefined {
    return this.trigger.path;
  }

  /** Why it would not be bypassed; undefined while it would, and without a trigger. */
  get reason(): Reason | undefined {
    return this.trigger.reason;
  }

  /** @internal */
  protected describe(): object {
    const { number, masked, pending, path, reason } = this;
    return { number, masked, pending, path, reason };
  }

  /** @internal */
  get eventfd(): EventfdContext | null {
    return this.trigger.current;
  }

  /** @internal Gives it another trigger, or none. {@link rearm} follows, whether that was refused or not. */
  change(index: string, eventfd: EventfdContext | null): TriggerChange {
    return { name: `${index} ${this.number}`, trigger: this.trigger, eventfd, irq: this.number };
  }

  /** @internal */
  setFunctionMask(on: boolean): void {
    this.functionMask = on;
    this.rearm();
  }

  /** @internal What holds it back, or its trigger, has changed: what is pending fires once if it can. */
  rearm(): void {
    this.armed = this.maskBit || this.functionMask ? undefined : this.trigger.signalled;
    if (this.armed === undefined || !this.pendingBit) return;
    this.armed.signal();
    this.pendingBit = false; // after it: refused, it is pending as before
  }
}
