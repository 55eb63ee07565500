import type { EventfdContext } from "../eventfd/context.js";
import { signalRecord } from "../eventfd/signal.js";
import { Device, DeviceFlag, DeviceUse, Gate } from "../host/layout.js";
import type { DeviceLife } from "./device-life.js";
import { hold, release } from "./gate.js";
import { checkOpen, type IrqSet, irqError, selects } from "./set-irqs.js";
import { setTriggers } from "./trigger-changes.js";
import { DeviceVector } from "./vector.js";

/**
 * The MSI or the MSI-X index: enabling, triggers, loopback (vfio_pci_set_msi_trigger).
 *
 * Differences from the kernel, on purpose: replacing a trigger is one operation, so a refusal or a closed eventfd leaves
 * the old one in use, where the kernel has torn it down by then; and a block of triggers that fails leaves every vector
 * as it was, where the kernel disables all up to the one that failed.
 */
export class MsiIndex {
  readonly vectors: readonly DeviceVector[];
  private readonly gates: readonly number[];

  constructor(
    private readonly life: DeviceLife,
    readonly name: "msi" | "msix",
  ) {
    const { msi } = life;
    this.gates = name === "msi" ? life.gates.slice(0, msi) : life.gates.slice(msi);
    this.vectors = this.gates.map((gate, number) => new DeviceVector(number, name, life, gate));
  }

  get enabled(): boolean {
    return this.life.uses(this.bit);
  }

  /** Is the whole function masked (the function mask of MSI-X)? */
  get functionMask(): boolean {
    return this.life.uses(DeviceUse.functionMask);
  }

  set functionMask(on: boolean) {
    const { life } = this;
    life.host.checkPassing();
    life.act(() => this.setFunctionMask(on));
  }

  /** The same under the device's mutex. */
  setFunctionMask(on: boolean): void {
    const { life, gates, functionMask } = this;
    if (on === functionMask) return;
    if (!on) release(life, gates, Gate.functionMask); // first: refused, it is set still
    life.use(DeviceUse.functionMask, on);
    if (on) for (const gate of gates) hold(life, gate, Gate.functionMask);
  }

  /** The pending bits as the guest reads them: bit n of word n / 32, whole 64-bit words (the PBA). */
  get pendingBits(): Uint32Array {
    const bits = new Uint32Array(Math.ceil(this.vectors.length / 64) * 2);
    for (const { number, pending } of this.vectors) if (pending) bits[number >>> 5]! |= 1 << (number & 31);
    return bits;
  }

  /**
   * Carries out a checked call with action "trigger", under the device's mutex; `other` names another index that is in use. Returns 0,
   * or the number of vectors that can be had where the enabling call wants more.
   */
  setIrqs(set: IrqSet, other: string | undefined): number {
    const { name } = this;
    if (set.data === "none" && set.count === 0 && this.enabled) {
      this.disable();
      return 0;
    }
    if (other !== undefined)
      throw irqError("EINVAL", name, `cannot be used beside ${other}: disable ${other} first`);
    if (set.data === "eventfd") return this.setTriggers(set.start, set.eventfds.slice(0, set.count));
    if (!this.enabled) throw irqError("EINVAL", name, "is not enabled: give its vectors eventfds first");
    for (const { number, trigger } of this.vectors.slice(set.start, set.start + set.count)) {
      // A loopback test goes through the eventfd, past the mask bit and the bypass.
      const { eventfd } = trigger;
      if (selects(set, number) && eventfd !== 0) signalRecord(this.life.host, eventfd);
    }
    return 0;
  }

  /** Takes every trigger away and gives all host interrupts back. Under the device's mutex. */
  disable(): void {
    this.change(
      0,
      this.vectors.map(() => null),
    );
    for (const vector of this.vectors) vector.allocated = false;
    this.life.use(this.bit, false);
  }

  /** As a reset of the device leaves it: see {@link DeviceVector.reset}. Under the device's mutex. */
  reset(): void {
    const { life, vectors, name } = this;
    if (name === "msix" && vectors[0]?.isTabled === false) life.use(DeviceUse.functionMask, false);
    for (const vector of vectors) vector.clear(Gate.functionMask);
  }

  private setTriggers(start: number, eventfds: readonly (EventfdContext | null)[]): number {
    const { name, available, life } = this;
    const wanted = start + eventfds.length;
    const { enabled } = this;
    if (!enabled) {
      if (wanted === 0) throw irqError("EINVAL", name, "cannot be enabled without a vector");
      if (available === 0)
        throw irqError("ENOSPC", name, "cannot be enabled: the host has no interrupts left");
      if (wanted > available) return available;
    }
    const isAllocated = (number: number) => (enabled ? this.vectors[number]!.allocated : number < wanted);
    const added = this.check(start, eventfds, isAllocated);
    this.change(start, eventfds);
    if (!enabled) for (const vector of this.vectors.slice(0, wanted)) vector.allocated = true;
    for (const number of added) this.vectors[number]!.allocated = true;
    life.use(this.bit, true);
    return 0;
  }

  /** Checks a block in the order of its vectors, and returns those that need a host interrupt. */
  private check(
    start: number,
    eventfds: readonly (EventfdContext | null)[],
    isAllocated: (number: number) => boolean,
  ): number[] {
    const { name, available } = this;
    const count = this.vectors.filter(({ number }) => isAllocated(number)).length;
    const added: number[] = [];
    eventfds.forEach((eventfd, i) => {
      const number = start + i;
      if (eventfd === null) return;
      if (!isAllocated(number)) {
        const subject = `${name} ${number}`;
        if (!this.dynamic) {
          const enough = `was enabled with ${count} vectors: disable it, then set all in one call`;
          throw irqError("EINVAL", subject, `cannot be added: ${name} ${enough}`);
        }
        if (count + added.length >= available) {
          throw irqError("ENOSPC", subject, `cannot be added: all ${available} host interrupts are in use`);
        }
        added.push(number);
      }
      checkOpen(this.life.host, `${name} ${number}`, eventfd);
    });
    return added;
  }

  /** Sets a block of triggers, or none of them. */
  private change(start: number, eventfds: readonly (EventfdContext | null)[]): void {
    const vectors = this.vectors.slice(start, start + eventfds.length);
    setTriggers(
      this.life,
      vectors.map((vector, i) => vector.change(eventfds[i]!)),
    );
  }

  private get bit(): DeviceUse {
    return this.name === "msi" ? DeviceUse.msi : DeviceUse.msix;
  }

  /** Host interrupts that can be had. */
  private get available(): number {
    const { host, record } = this.life;
    const limit = host.words.get(record + Device.available);
    return limit === 0 ? Infinity : limit - 1;
  }

  /** Can vectors be added while others are in use? */
  private get dynamic(): boolean {
    return this.name === "msix" && (this.life.flags & DeviceFlag.dynamic) !== 0;
  }
}
