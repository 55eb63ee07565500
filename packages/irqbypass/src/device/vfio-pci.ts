import type { BypassHost } from "../bypass/bypass-host.js";
import { producerKind } from "../bypass/producer.js";
import type { EventfdContext } from "../eventfd/context.js";
import { checkFlag, isOf, type OptionNames, readOptions, show } from "../host/argument.js";
import { IrqBypassError } from "../host/errors.js";
import type { Handle } from "../host/handle.js";
import { Device, DeviceFlag, DeviceUse } from "../host/layout.js";
import { checkHost } from "../host/memory.js";
import { Shown } from "../host/shown.js";
import { DeviceLife } from "./device-life.js";
import { adoptDevice, createDevice, endDevice, handleOf, openDevice } from "./device-record.js";
import { DeviceEvent } from "./event.js";
import { Intx } from "./intx.js";
import { IRQ_INDEXES, type IrqIndex, type IrqInfo, irqInfo } from "./irq-index.js";
import { MsiIndex } from "./msi.js";
import { endProducer } from "./producers.js";
import { type IrqSet, irqError, readIrqSet } from "./set-irqs.js";
import type { DeviceVector } from "./vector.js";

/** Options of a new device: which interrupts it has. */
export interface VfioPciOptions {
  /** Does it have an INTx pin? Default no. */
  readonly intx?: boolean;
  /** MSI vectors: 0 (the default) or a power of two up to 32. */
  readonly msi?: number;
  /** MSI-X table size: 0 (the default) to 2048. */
  readonly msix?: number;
  /** Is it a PCI Express device, which has the ERR index? Default yes. */
  readonly pcie?: boolean;
  /** Can MSI-X vectors be added while others are in use? Default yes; else all are set when MSI-X is enabled. */
  readonly dynamicMsix?: boolean;
  /** Host interrupts that it can get for MSI or MSI-X; default as many as it has vectors. */
  readonly hostInterrupts?: number;
  /** Name of a kind of the host, whose producer operations its vectors get. Default: none, as most devices. */
  readonly kind?: string;
}

const OPTIONS: OptionNames<VfioPciOptions> = {
  intx: true,
  msi: true,
  msix: true,
  pcie: true,
  dynamicMsix: true,
  hostInterrupts: true,
  kind: true,
};
const MAX_MSI = 32;
const MAX_MSIX = 2048;

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
export class VfioPciDevice extends Shown implements Disposable {
  /** @internal */
  readonly host: BypassHost;
  private readonly life: DeviceLife;
  private disposed = false;
  private readonly pin: Intx | undefined;
  private readonly msi: MsiIndex;
  private readonly msix: MsiIndex;
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
  constructor(host: BypassHost, from: VfioPciOptions | DeviceLife = {}) {
    super();
    this.host = host;
    const life = isOf(from, DeviceLife) ? from : newDevice(host, from);
    this.life = life;
    const flags = host.words.get(life.record + Device.flags);
    this.pcie = (flags & DeviceFlag.pcie) !== 0;
    this.dynamic = (flags & DeviceFlag.dynamic) !== 0;
    this.pin = (flags & DeviceFlag.intx) !== 0 ? new Intx(life) : undefined;
    this.msi = new MsiIndex(life, "msi");
    this.msix = new MsiIndex(life, "msix");
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

  /** What another thread passes to {@link open}. Throws EBADF when the device has ended. */
  get handle(): Handle<"vfio-pci device"> {
    this.host.checkCall();
    return handleOf(this.life);
  }

  /**
   * From here on this thread signals the vectors, and no other one: `signal` is EBUSY there. What they had begun to signal has arrived
   * when this returns; an interrupt that this thread cannot post or inject is relayed from here on. Throws EBUSY while another thread is in
   * the middle of a signal, with nothing changed: try again. Blocks for the device's mutex. The device ends with this thread then.
   */
  adopt(): void {
    this.host.checkCall();
    adoptDevice(this.life);
  }

  /**
   * What an index is like (VFIO_DEVICE_GET_IRQ_INFO). Throws EINVAL for an unknown index, and for `err` on a device that
   * is not PCI Express.
   */
  irqInfo(index: IrqIndex): IrqInfo {
    this.check();
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
   * A trigger that cannot be bypassed for another reason is set all the same; `vector(...).reason` says why. What is raised meanwhile is pending,
   * and goes where the call leaves the vector. Blocks for the mutexes of the device and the host, and for a signal that is under way.
   */
  setIrqs(set: IrqSet): number {
    const read = readIrqSet(set, (index) => this.count(index));
    this.host.checkCall();
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
  setTrigger(index: IrqIndex, number: number, eventfd: EventfdContext | null): void {
    const action = "trigger";
    const available = this.setIrqs({
      index,
      start: number,
      count: 1,
      action,
      data: "eventfd",
      eventfds: [eventfd],
    });
    if (available > 0) {
      throw irqError(
        "ENOSPC",
        `${index} ${number}`,
        `cannot be had: the host has ${available} interrupts for it`,
      );
    }
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
  disable(index: IrqIndex): void {
    this.setIrqs({ index, start: 0, count: 0, action: "trigger", data: "none" });
  }

  /** A vector, to signal and to mask it. Throws EINVAL for one that the device does not have. */
  vector(index: "msi" | "msix", number: number): DeviceVector {
    const { vectors } = this.msiIndex(index);
    const vector = Number.isInteger(number) ? vectors[number] : undefined;
    if (vector !== undefined) return vector;
    const has = vectors.length === 0 ? "none" : `0 to ${vectors.length - 1}`;
    throw new IrqBypassError("EINVAL", `there is no ${index} vector ${show(number)}: this device has ${has}`);
  }

  /** The INTx pin, for the device to drive. Throws EINVAL for a device without one. */
  get intx(): Intx {
    if (this.pin !== undefined) return this.pin;
    throw new IrqBypassError("EINVAL", "this device has no INTx pin: make it with intx: true");
  }

  /** The function mask of MSI-X, which holds back all of its vectors. */
  get functionMask(): boolean {
    return this.msix.functionMask;
  }

  /** Sets or clears it; what was held back fires then. */
  set functionMask(on: boolean) {
    checkFlag(on ?? null, "functionMask");
    this.msix.functionMask = on;
  }

  /** The pending bits of an index as a guest reads them: bit n of word n / 32 is vector n (for MSI-X the PBA). */
  pendingBits(index: "msi" | "msix"): Uint32Array {
    return this.msiIndex(index).pendingBits;
  }

  /** The device reports an uncorrectable error: signals ERR, if it has an eventfd. */
  reportError(): void {
    this.err.signal();
  }

  /** The host wants the device back: signals REQ, if it has an eventfd. */
  requestRelease(): void {
    this.req.signal();
  }

  /**
   * Resets the device (VFIO_DEVICE_RESET), as `pci_restore_state` leaves it: its line is down, DisINTx, the function mask and the mask
   * bits are clear, nothing is pending. What the VMM has wired stays: the indexes enabled, every eventfd, and INTx masked where it had
   * masked itself, for the VMM to unmask. `docs/semantics.md` has what each reset clears. Throws EBADF. Blocks as `setIrqs`.
   */
  reset(): void {
    this.host.checkCall();
    this.life.guard(() => {
      this.pin?.reset();
      for (const index of [this.msi, this.msix]) index.reset();
    });
  }

  /**
   * Closes the device in every thread: takes away every eventfd of every index. When it has returned, nothing is signalled any more,
   * whichever thread was at it. Doing it again does nothing.
   */
  dispose(): void {
    if (this.disposed || (!this.host.thread.left && !this.life.isLive())) return;
    this.host.checkCall();
    this.pin?.stopListening();
    endDevice(this.life, endProducer);
    this.disposed = true;
  }

  /** As {@link dispose}. */
  [Symbol.dispose](): void {
    this.dispose();
  }

  /** @internal How many interrupts each index has, and which of INTx, MSI and MSI-X is in use. */
  protected describe(): object {
    this.check();
    const counts = IRQ_INDEXES.map((index) => [index, this.count(index)] as const);
    return { inUse: this.otherThan("err") ?? null, ...Object.fromEntries(counts) };
  }

  private msiIndex(index: "msi" | "msix"): MsiIndex {
    if (index === "msi" || index === "msix") return this[index];
    throw new IrqBypassError("EINVAL", `index is ${show(index)}: vectors are of msi or msix`);
  }

  private count(index: IrqIndex): number {
    if (index === "msi" || index === "msix") return this.msiIndex(index).vectors.length;
    if (index === "intx") return this.pin === undefined ? 0 : 1;
    return index === "err" && !this.pcie ? 0 : 1;
  }

  /** Which other one of INTx, MSI and MSI-X is in use. */
  private otherThan(index: IrqIndex): string | undefined {
    const inUse = [
      ["intx", DeviceUse.intx],
      ["msi", DeviceUse.msi],
      ["msix", DeviceUse.msix],
    ] as const;
    return inUse.find(([name, use]) => name !== index && this.life.uses(use))?.[0];
  }

  private check(): void {
    this.life.check();
  }
}

function newDevice(host: BypassHost, options: VfioPciOptions): DeviceLife {
  const how = readOptions(options, OPTIONS, "options such as { msix: 8 }, or none");
  checkHost(host);
  const { intx = false, msi = 0, msix = 0, pcie = true, dynamicMsix = true, kind } = how;
  const { hostInterrupts: available = Infinity } = how;
  for (const [name, value] of Object.entries({ intx, pcie, dynamicMsix })) checkFlag(value, name);
  const number = producerKind(host, kind);
  checkOption(
    "msi",
    msi,
    `0 or a power of two up to ${MAX_MSI}`,
    Number.isInteger(msi) && msi >= 0 && msi <= MAX_MSI && (msi & (msi - 1)) === 0,
  );
  checkOption("msix", msix, `0 to ${MAX_MSIX}`, Number.isInteger(msix) && msix >= 0 && msix <= MAX_MSIX);
  checkOption(
    "hostInterrupts",
    available,
    "a whole number from 0 on",
    available === Infinity || (Number.isInteger(available) && available >= 0),
  );
  const flags =
    (intx ? DeviceFlag.intx : 0) | (pcie ? DeviceFlag.pcie : 0) | (dynamicMsix ? DeviceFlag.dynamic : 0);
  return createDevice(host, { flags, kind: number, msi, msix, available, gate: 0 });
}

function checkOption(name: string, value: unknown, allowed: string, valid: boolean): void {
  if (!valid) throw new IrqBypassError("EINVAL", `${name} is ${show(value)}: a device has ${allowed}`);
}
