import type { Path } from "../bypass/path.js";
import type { EventfdContext } from "../eventfd/context.js";
import { forget } from "../eventfd/listen.js";
import { Device, Gate } from "../host/layout.js";
import { Shown } from "../host/shown.js";
import type { Reason } from "../posting/reason.js";
import type { DeviceLife } from "./device-life.js";
import { hold, isOpen, release } from "./gate.js";
import { signalGate } from "./owner.js";
import { Trigger } from "./trigger.js";
import { recordOf, type TriggerChange } from "./trigger-changes.js";

/**
 * One MSI or MSI-X vector: what the device fires. It has a mask bit and a pending bit, as the guest sees them in the
 * MSI-X table and the PBA (PCI Express base specification, "MSI and MSI-X"); they live as long as the device, whatever
 * happens to the trigger. All but `signal` may be called in every thread that has the device open.
 */
export class DeviceVector extends Shown {
  /** Its number in the MSI or MSI-X table. */
  readonly number: number;
  /** @internal */
  readonly trigger: Trigger;

  /** @internal Devices make their vectors. */
  constructor(
    number: number,
    private readonly index: "msi" | "msix",
    private readonly life: DeviceLife,
    private readonly gate: number,
  ) {
    super();
    this.number = number;
    this.trigger = new Trigger(life, gate);
  }

  /**
   * The device raises the interrupt. While it is masked it stays pending, once however often it is raised. For the thread that has the
   * device: EBUSY in others, see `adopt`. Waits for nobody; only the first
   * through a handle that was opened, and one that is refused, takes the device's mutex.
   */
  signal(): void {
    signalGate(this.life, this.gate, `${this.index} ${this.number}`);
  }

  /** Sets the mask bit: when this has returned, signals are held back. Blocks for the device's mutex, and for a signal that is under way. */
  mask(): void {
    this.life.host.checkPassing();
    this.life.act(() => this.setMask(true));
  }

  /**
   * Clears the mask bit; what was held back fires once, as soon as there is a trigger. Throws what signalling that throws, as ENOSYS for a
   * Linux eventfd in a thread that cannot make system calls, with the mask bit as before. Blocks for the device's mutex.
   */
  unmask(): void {
    this.life.act(() => this.setMask(false));
  }

  /**
   * As a reset of the device leaves it: nothing is pending, and its mask bit is clear; its trigger stays, with what waits in its counter:
   * that is an interrupt of the next irqfd, unless somebody reads it before. Under an `Msix` the mask bit stays
   * as well: that is what the guest's table says. Blocks as {@link mask}.
   */
  reset(): void {
    this.life.host.checkPassing();
    this.life.act(() => this.clear());
  }

  /**
   * Is it held back, by its own mask bit, by the function mask, or because it has no trigger? Linux keeps the entry of such a
   * vector masked: all are when MSI-X is enabled, and each again when its interrupt is freed (pci_irq_shutdown_msix). So is one of
   * a device that has ended.
   */
  get masked(): boolean {
    const gate = this.life.host.words.load(this.gate);
    return !isOpen(gate & ~Gate.changing) || !this.life.isLive();
  }

  /**
   * Was it raised, and has that come to nobody yet: because it is held back, or because its signal waits in a trigger whose irqfd was taken
   * away, as a VMM masks that leaves the device alone? The next irqfd takes it, or whoever reads the trigger. Whether the device raised it
   * or a backend wrote to the eventfd is one. A trigger to which no irqfd has listened, since it was made or the device was reset, is its
   * reader's, and nothing pends there: a VMM that masks before its first irqfd masks the vector, or looks at the trigger itself. Nor does it
   * once the last handle of the trigger was closed: nobody hears of that. Makes a system call where such a trigger is a Linux eventfd. Waits
   * for the host mutex.
   */
  get pending(): boolean {
    const gate = this.life.host.words.load(this.gate);
    return this.life.isLive() && ((gate & Gate.pending) !== 0 || this.trigger.isUnheard);
  }

  /** Which way a signal would go now, the mask aside; undefined without a trigger. */
  get path(): Path | undefined {
    return this.trigger.path;
  }

  /**
   * Why it would not be bypassed, the worst reason, which is the irqfd's own word where this is the trigger's producer; undefined while it
   * would, and without a trigger. Of a relay that does not run only the irqfd tells.
   */
  get reason(): Reason | undefined {
    return this.trigger.reason;
  }

  /** @internal */
  protected describe(): object {
    const { number, masked, pending, path, reason } = this;
    return { number, masked, pending, path, reason };
  }

  /** @internal Gives it another trigger, or none. */
  change(eventfd: EventfdContext | null): TriggerChange {
    const { index, number, trigger } = this;
    return { name: `${index} ${number}`, trigger, eventfd: recordOf(eventfd), irq: number };
  }

  /** @internal Has it a host interrupt? Under the device's mutex. */
  get allocated(): boolean {
    return (this.life.host.words.load(this.gate) & Gate.allocated) !== 0;
  }

  /** @internal */
  set allocated(is: boolean) {
    const { words } = this.life.host;
    if (is) words.or(this.gate, Gate.allocated);
    else words.and(this.gate, ~Gate.allocated);
  }

  /** @internal Under the device's mutex. */
  setMask(on: boolean): void {
    if (on) hold(this.life, this.gate, Gate.mask);
    else release(this.life, [this.gate], Gate.mask);
  }

  /** @internal {@link reset} under the device's mutex, and no function mask any more where that is reset, too. */
  clear(also: 0 | Gate.functionMask = 0): void {
    const { life, gate, isTabled } = this;
    const { eventfd } = this.trigger;
    hold(life, gate, Gate.changing); // a signal of before the reset is not pending after it
    if (eventfd !== 0) forget(life.host, eventfd);
    life.host.words.and(gate, ~(Gate.pending | Gate.changing | (isTabled ? 0 : Gate.mask | also)));
  }

  /** @internal Are its masks those of an MSI-X table, which the guest alone changes? Under the device's mutex. */
  get isTabled(): boolean {
    return this.index === "msix" && this.life.read(Device.table) !== 0;
  }
}
