import type { BypassHost } from "../bypass/bypass-host.js";
import type { EventfdContext } from "../eventfd/context.js";
import { checkOpen, type IrqSet, irqError, selects } from "./set-irqs.js";
import { Trigger } from "./trigger.js";
import { setTriggers } from "./trigger-changes.js";
import { DeviceVector } from "./vector.js";

/** How an MSI or MSI-X index of a device is made. */
export interface MsiOptions {
  readonly name: "msi" | "msix";
  readonly count: number;
  /** Can vectors be added while others are in use? */
  readonly dynamic: boolean;
  /** Host interrupts that can be had. */
  readonly available: number;
  /** Name of the kind of its producers. */
  readonly kind: string | undefined;
}

/**
 * The MSI or the MSI-X index: enabling, triggers, loopback (vfio_pci_set_msi_trigger).
 *
 * Differences from the kernel, on purpose: replacing a trigger is one operation, so a refusal or a closed eventfd leaves
 * the old one in use, where the kernel has torn it down by then; and a block of triggers that fails leaves every vector
 * as it was, where the kernel disables all up to the one that failed.
 */
export class MsiIndex {
  readonly vectors: readonly DeviceVector[];
  /** Vectors that have a host interrupt, with a trigger or not; undefined while the index is off. */
  private allocated: Set<number> | undefined;
  private maskAll = false;

  constructor(
    private readonly host: BypassHost,
    private readonly options: MsiOptions,
  ) {
    const { count, kind } = options;
    this.vectors = Array.from(
      { length: count },
      (_, number) => new DeviceVector(number, new Trigger(host, kind)),
    );
  }

  get enabled(): boolean {
    return this.allocated !== undefined;
  }

  /** Is the whole function masked (the function mask of MSI-X)? */
  get functionMask(): boolean {
    return this.maskAll;
  }

  set functionMask(on: boolean) {
    this.maskAll = on;
    for (const vector of this.vectors) vector.setFunctionMask(on);
  }

  /** The pending bits as the guest reads them: bit n of word n / 32, whole 64-bit words (the PBA). */
  get pendingBits(): Uint32Array {
    const bits = new Uint32Array(Math.ceil(this.vectors.length / 64) * 2);
    for (const { number, pending } of this.vectors) if (pending) bits[number >>> 5]! |= 1 << (number & 31);
    return bits;
  }

  /**
   * Carries out a checked call with action "trigger"; `other` names another index that is in use. Returns 0, or the
   * number of vectors that can be had where the enabling call wants more.
   */
  setIrqs(set: IrqSet, other: string | undefined): number {
    const { name } = this.options;
    if (set.data === "none" && set.count === 0 && this.enabled) {
      this.disable();
      return 0;
    }
    if (other !== undefined)
      throw irqError("EINVAL", name, `cannot be used beside ${other}: disable ${other} first`);
    if (set.data === "eventfd") return this.setTriggers(set.start, set.eventfds.slice(0, set.count));
    if (!this.enabled) throw irqError("EINVAL", name, "is not enabled: give its vectors eventfds first");
    for (const vector of this.vectors.slice(set.start, set.start + set.count)) {
      // A loopback test goes through the eventfd, past the mask bit and the bypass.
      if (selects(set, vector.number) && vector.eventfd?.closed === false) vector.eventfd.signal();
    }
    return 0;
  }

  /** Takes every trigger away and gives all host interrupts back. */
  disable(): void {
    this.change(
      0,
      this.vectors.map(() => null),
    );
    this.allocated = undefined;
  }

  private setTriggers(start: number, eventfds: readonly (EventfdContext | null)[]): number {
    const { name, available } = this.options;
    const wanted = start + eventfds.length;
    if (this.allocated === undefined) {
      if (wanted === 0) throw irqError("EINVAL", name, "cannot be enabled without a vector");
      if (available === 0)
        throw irqError("ENOSPC", name, "cannot be enabled: the host has no interrupts left");
      if (wanted > available) return available;
    }
    const allocated = this.allocated ?? new Set(Array.from({ length: wanted }, (_, number) => number));
    const added = this.check(start, eventfds, allocated);
    this.change(start, eventfds);
    for (const number of added) allocated.add(number);
    this.allocated = allocated;
    return 0;
  }

  /** Checks a block in the order of its vectors, and returns those that need a host interrupt. */
  private check(
    start: number,
    eventfds: readonly (EventfdContext | null)[],
    allocated: Set<number>,
  ): number[] {
    const { name, dynamic, available } = this.options;
    const added: number[] = [];
    eventfds.forEach((eventfd, i) => {
      const number = start + i;
      if (eventfd === null) return;
      if (!allocated.has(number)) {
        const subject = `${name} ${number}`;
        if (!dynamic) {
          const enough = `was enabled with ${allocated.size} vectors: disable it, then set all in one call`;
          throw irqError("EINVAL", subject, `cannot be added: ${name} ${enough}`);
        }
        if (allocated.size + added.length >= available) {
          throw irqError("ENOSPC", subject, `cannot be added: all ${available} host interrupts are in use`);
        }
        added.push(number);
      }
      checkOpen(this.host, `${name} ${number}`, eventfd);
    });
    return added;
  }

  /** Sets a block of triggers, or none of them. */
  private change(start: number, eventfds: readonly (EventfdContext | null)[]): void {
    const { host, options } = this;
    const vectors = this.vectors.slice(start, start + eventfds.length);
    try {
      setTriggers(
        host,
        vectors.map((vector, i) => vector.change(options.name, eventfds[i]!)),
      );
    } finally {
      // Only now: nothing that is pending goes to a trigger that is taken back.
      for (const vector of vectors) vector.rearm();
    }
  }
}
