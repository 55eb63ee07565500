import type { BypassHost } from "../bypass/bypass-host.js";
import type { EventfdContext } from "../eventfd/context.js";
import { show } from "../host/argument.js";
import { IrqBypassError } from "../host/errors.js";
import type { Handle } from "../host/handle.js";
import { DeviceFlag } from "../host/layout.js";
import { checkHost } from "../host/memory.js";
import type { DeviceLife } from "./device-life.js";
import { adoptDevice, openDevice } from "./device-record.js";
import { DeviceEvent } from "./event.js";
import { Intx } from "./intx.js";
import { IRQ_INDEXES, type IrqIndex, type IrqInfo, irqInfo } from "./irq-index.js";
import { type IrqSet, readIrqSet } from "./set-irqs.js";
import { SlimVfioPciDevice, type VfioPciOptions } from "./slim-vfio-pci.js";

/**
 * The interrupt half of vfio-pci: the five interrupt indexes of a PCI device, and VFIO_DEVICE_SET_IRQS with all of its
 * data types and actions. Each MSI or MSI-X vector that has a trigger is a producer. One of INTx, MSI and MSI-X is in
 * use at a time.
 *
 * A device lives in the host's memory. The thread that made it signals its vectors, until another one adopts it; what the VMM does
 * (triggers, masks, INTx, reset), any thread may do that has it open, also while it is signalled: when a call has returned, nothing
 * goes the old way any more. The device keeps the eventfds alive that it signals. It ends with `dispose`, in whichever thread, and with
 * the thread that may signal it.
 *
 * What the VMM does to a device that has ended is EBADF. The device's own side (vectors, INTx pin, masks, pending bits,
 * `reportError`, `requestRelease`) goes on, as that of one whose triggers are all taken away: nothing is signalled, and nothing kept.
 */
export class VfioPciDevice extends SlimVfioPciDevice {
  private readonly pin: Intx | undefined;
  private readonly err: DeviceEvent;
  private readonly req: DeviceEvent;
  private readonly pcie: boolean;
  private readonly dynamic: boolean;

  /**
   * A new device, which the calling thread may signal. Throws EINVAL for options that no device has, ENOMEM when the host is full.
   *
   * @example
   * ```ts
   * import { Eventfd, Host, VfioPciDevice } from "irqbypass";
   *
   * const host = Host.create();
   * using nic = new VfioPciDevice(host, { msix: 8 });
   * nic.setTrigger("msix", 0, Eventfd.create(host));
   * nic.vector("msix", 0).signal();
   * ```
   */
  constructor(host: BypassHost, options?: VfioPciOptions);
  /** @internal For one that is opened. */
  constructor(host: BypassHost, opened: DeviceLife);
  constructor(host: BypassHost, from?: VfioPciOptions | DeviceLife) {
    super(host, from);
    const { life } = this;
    const { flags } = life;
    this.pcie = (flags & DeviceFlag.pcie) !== 0;
    this.dynamic = (flags & DeviceFlag.dynamic) !== 0;
    this.pin = (flags & DeviceFlag.intx) !== 0 ? new Intx(life) : undefined;
    this.err = new DeviceEvent(life, "err");
    this.req = new DeviceEvent(life, "req");
  }

  /**
   * A device that another thread has made, for this one. It drives INTx, masks and sets triggers as that one does; to signal vectors is
   * the other one's, until {@link adopt}. Throws ESTALE when it has ended, and for the handle of something else, EXDEV for one of another host.
   *
   * @example
   * ```ts
   * import { Host, VfioPciDevice } from "irqbypass";
   *
   * const host = Host.create();
   * const nic = new VfioPciDevice(host, { msix: 8 });
   * const again = VfioPciDevice.open(Host.attach(host.handle), nic.handle); // in another thread
   * again.vector("msix", 0).mask();
   * console.log(nic.vector("msix", 0).masked); // true
   * ```
   */
  static open(host: BypassHost, handle: Handle<"vfio-pci device">): VfioPciDevice {
    checkHost(host);
    return new VfioPciDevice(host, openDevice(host, handle, 0));
  }

  /**
   * From here on this thread signals the vectors, and no other one: `signal` is EBUSY there. What they had begun to signal has arrived
   * when this returns; an interrupt that this thread cannot post or inject is relayed from here on. Throws EBUSY while another thread is in
   * the middle of a signal, with nothing changed: try again. Blocks for the device's mutex. The device ends with this thread then.
   */
  adopt(): void {
    this.host.checkChange();
    adoptDevice(this.life);
  }

  /**
   * What an index is like (VFIO_DEVICE_GET_IRQ_INFO). Throws EINVAL for an unknown index, and for `err` on a device that
   * is not PCI Express.
   */
  irqInfo(index: IrqIndex): IrqInfo {
    this.life.check();
    if (!IRQ_INDEXES.includes(index) || (index === "err" && !this.pcie)) {
      throw new IrqBypassError("EINVAL", `this device has no index ${show(index)}`, {
        subject: show(index),
      });
    }
    return irqInfo(index, this.count(index), this.dynamic);
  }

  /**
   * VFIO_DEVICE_SET_IRQS: sets or takes away eventfds, masks, unmasks, or fires interrupts as a loopback test. Returns 0;
   * where enabling MSI or MSI-X wants more host interrupts than there are, nothing is done and the number that can be
   * had is returned. A call that throws leaves everything as it was:
   *
   * - EINVAL: a malformed call, a range that the device does not have, an index that is not enabled, or another one of
   *   INTx, MSI and MSI-X in use;
   * - ENOTTY: an action or a data type that the index does not know;
   * - EBADF: a closed eventfd; EBUSY: a second unmask eventfd;
   * - ENOSPC: no host interrupt left; ENOMEM: no producer left in the host;
   * - EOPNOTSUPP (or what the other end's kind says), with the reason: an irqfd that requires bypass could not have it.
   *
   * A trigger that cannot be bypassed for another reason is set all the same; `vector(...).reason` says why. A block is one operation, in
   * which vectors may exchange their eventfds; for a moment others see one of them without a producer. What is
   * raised meanwhile is pending, and goes where the call leaves the vector. Blocks for the mutexes of the device and the host, and for a
   * signal that is under way.
   */
  setIrqs(set: IrqSet): number {
    const read = readIrqSet(set, (index) => this.count(index));
    this.host.checkChange();
    return this.life.guard(() => this.carryOut(read));
  }

  /** Under the device's mutex. */
  private carryOut(read: IrqSet): number {
    switch (read.index) {
      case "intx":
        return this.intx.setIrqs(read, this.otherThan("intx"));
      case "msi":
      case "msix":
        return this.msiIndex(read.index).setIrqs(read, this.otherThan(read.index));
      case "err":
      case "req":
        return this[read.index].setIrqs(read);
    }
  }

  /**
   * Sets, replaces or (null) takes away the eventfd of one interrupt, enabling the index on first use. Replacing is one
   * operation: where the new one is refused, the old one stays. Throws as `setIrqs`; ENOSPC where the index cannot have
   * that many host interrupts.
   */
  override setTrigger(index: IrqIndex, number: number, eventfd: EventfdContext | null): void {
    this.giveTrigger(index, number, eventfd);
  }

  /** Masks an interrupt: INTx only, ENOTTY for others. */
  mask(index: IrqIndex, number = 0): void {
    this.setIrqs({ index, start: number, count: 1, action: "mask", data: "none" });
  }

  /** The mirror image of `mask`; fires again where the line is still asserted. */
  unmask(index: IrqIndex, number = 0): void {
    this.setIrqs({ index, start: number, count: 1, action: "unmask", data: "none" });
  }

  /** Takes every eventfd of an index away, and gives its host interrupts back. Throws EINVAL for one that has none. */
  override disable(index: IrqIndex): void {
    this.setIrqs({ index, start: 0, count: 0, action: "trigger", data: "none" });
  }

  /** The INTx pin, for the device to drive. Throws EINVAL for a device without one. */
  get intx(): Intx {
    if (this.pin !== undefined) return this.pin;
    throw new IrqBypassError("EINVAL", "this device has no INTx pin: make it with intx: true");
  }

  /** The device reports an uncorrectable error: signals ERR, if it has an eventfd. */
  reportError(): void {
    this.err.signal();
  }

  /** The host wants the device back: signals REQ, if it has an eventfd. */
  requestRelease(): void {
    this.req.signal();
  }

  /** @internal How many interrupts each index has, and which of INTx, MSI and MSI-X is in use. */
  protected override describe(): object {
    this.life.check();
    const counts = IRQ_INDEXES.map((index) => [index, this.count(index)] as const);
    return { inUse: this.otherThan("err") ?? null, ...Object.fromEntries(counts) };
  }

  /** @internal */
  protected override change(set: IrqSet): number {
    return this.setIrqs(set);
  }

  /** @internal */
  protected override resetIndexes(): void {
    this.pin?.reset();
    super.resetIndexes();
  }

  /** @internal */
  protected override end(): void {
    this.pin?.stopListening();
    super.end();
  }

  private count(index: IrqIndex): number {
    if (index === "msi" || index === "msix") return this.msiIndex(index).vectors.length;
    if (index === "intx") return this.pin === undefined ? 0 : 1;
    return index === "err" && !this.pcie ? 0 : 1;
  }
}
