import type { BypassHost } from "../bypass/bypass-host.js";
import { producerKind } from "../bypass/producer.js";
import type { EventfdContext } from "../eventfd/context.js";
import { checkFlag, isOf, type OptionNames, readOptions, show } from "../host/argument.js";
import { IrqBypassError } from "../host/errors.js";
import type { Handle } from "../host/handle.js";
import { DeviceFlag, DeviceUse } from "../host/layout.js";
import { checkHost } from "../host/memory.js";
import { Shown } from "../host/shown.js";
import { DeviceLife } from "./device-life.js";
import { createDevice, endDevice, handleOf } from "./device-record.js";
import type { IrqIndex } from "./irq-index.js";
import { MsiIndex } from "./msi.js";
import { endProducer } from "./producers.js";
import { type IrqSetEventfd, type IrqSetNone, irqError } from "./set-irqs.js";
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
 * A device for a page that counts its bytes: MSI and MSI-X, for the thread that makes it. That of `irqbypass` is one that has the other
 * indexes, the whole of VFIO_DEVICE_SET_IRQS, and may be opened and adopted by other threads.
 */
export class SlimVfioPciDevice extends Shown implements Disposable {
  /** @internal */
  readonly host: BypassHost;
  /** @internal */
  readonly life: DeviceLife;
  private disposed = false;
  private readonly msi: MsiIndex;
  private readonly msix: MsiIndex;

  /**
   * A new device, which the calling thread may signal. Throws EINVAL for options that no device has, ENOMEM when the host is full.
   *
   * @example
   * ```ts
   * import { Eventfd, Host, VfioPciDevice } from "irqbypass/slim";
   *
   * const host = Host.create();
   * using nic = new VfioPciDevice(host, { msix: 8 });
   * nic.setTrigger("msix", 0, Eventfd.create(host));
   * nic.vector("msix", 0).signal();
   * ```
   */
  constructor(host: BypassHost, options?: VfioPciOptions);
  /** @internal For one that is opened, and for what extends this. */
  constructor(host: BypassHost, from?: VfioPciOptions | DeviceLife);
  constructor(host: BypassHost, from: VfioPciOptions | DeviceLife = {}) {
    super();
    this.host = host;
    const life = isOf(from, DeviceLife) ? from : newDevice(host, from);
    this.life = life;
    this.msi = new MsiIndex(life, "msi");
    this.msix = new MsiIndex(life, "msix");
  }

  /** What another thread passes to `VfioPciDevice.open` of `irqbypass`. Throws EBADF when the device has ended. */
  get handle(): Handle<"vfio-pci device"> {
    this.host.checkCall();
    return handleOf(this.life);
  }

  /**
   * Sets, replaces or (null) takes away the eventfd of one interrupt, enabling the index on first use. Replacing is one
   * operation: where the new one is refused, the old one stays. Throws as `setIrqs`; ENOSPC where the index cannot have
   * that many host interrupts.
   */
  setTrigger(index: "msi" | "msix", number: number, eventfd: EventfdContext | null): void {
    this.giveTrigger(index, number, eventfd);
  }

  /** @internal The same for any index that {@link change} knows. */
  protected giveTrigger(index: IrqIndex, number: number, eventfd: EventfdContext | null): void {
    const action = "trigger";
    const available = this.change({
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

  /** Takes every eventfd of an index away, and gives its host interrupts back. Throws EINVAL for one that has none. */
  disable(index: "msi" | "msix"): void {
    this.change({ index, start: 0, count: 0, action: "trigger", data: "none" });
  }

  /** A vector, to signal and to mask it. Throws EINVAL for one that the device does not have. */
  vector(index: "msi" | "msix", number: number): DeviceVector {
    const { vectors } = this.msiIndex(index);
    const vector = Number.isInteger(number) ? vectors[number] : undefined;
    if (vector !== undefined) return vector;
    const has = vectors.length === 0 ? "none" : `0 to ${vectors.length - 1}`;
    throw new IrqBypassError("EINVAL", `there is no ${index} vector ${show(number)}: this device has ${has}`);
  }

  /** The function mask of MSI-X, which holds back all of its vectors. */
  get functionMask(): boolean {
    return this.msix.functionMask;
  }

  /** Sets or clears it; what was held back fires then. Throws what signalling that throws, with all vectors held back as before. */
  set functionMask(on: boolean) {
    checkFlag(on, "functionMask", "needed");
    this.msix.functionMask = on;
  }

  /** The pending bits of an index as a guest reads them: bit n of word n / 32 is vector n (for MSI-X the PBA). */
  pendingBits(index: "msi" | "msix"): Uint32Array {
    return this.msiIndex(index).pendingBits;
  }

  /**
   * Resets the device (VFIO_DEVICE_RESET), as `pci_restore_state` leaves it: its line is down, DisINTx, the function mask and the mask
   * bits are clear, nothing is pending. What the VMM has wired stays: the indexes enabled, every eventfd, and INTx masked where it had
   * masked itself, or been masked, for the VMM to unmask. A count that waits in an eventfd without an irqfd stays as well, though it is not
   * pending any more: it is an interrupt of the next irqfd, unless the VMM reads it before. Under an `Msix` the masks of
   * MSI-X stay too: they are what its table says, until its own `reset`.
   * `docs/semantics.md` has what each reset clears. Throws EBADF. Blocks as `setIrqs`.
   */
  reset(): void {
    this.host.checkChange();
    this.life.guard(() => this.resetIndexes());
  }

  /**
   * Closes the device in every thread: takes away every eventfd of every index. When it has returned, nothing is signalled any more,
   * whichever thread was at it. Doing it again does nothing.
   */
  dispose(): void {
    if (this.disposed || (!this.host.thread.left && !this.life.isLive())) return;
    this.host.checkChange();
    this.end();
    this.disposed = true;
  }

  /** As {@link dispose}. */
  [Symbol.dispose](): void {
    this.dispose();
  }

  /** @internal How many vectors each index has, and which of INTx, MSI and MSI-X is in use. */
  protected describe(): object {
    this.life.check();
    return {
      inUse: this.otherThan("err") ?? null,
      msi: this.msi.vectors.length,
      msix: this.msix.vectors.length,
    };
  }

  /** @internal Under the device's mutex. */
  protected resetIndexes(): void {
    for (const index of [this.msi, this.msix]) index.reset();
  }

  /** @internal */
  protected end(): void {
    endDevice(this.life, endProducer);
  }

  /** @internal Carries out a call that sets triggers, as `setIrqs` does. */
  protected change(set: IrqSetEventfd | IrqSetNone): number {
    const index = this.msiIndex(set.index);
    if (set.count > 0) this.vector(index.name, set.start);
    this.host.checkChange();
    return this.life.guard(() => index.setIrqs(set, this.otherThan(set.index)));
  }

  /** @internal */
  protected msiIndex(index: IrqIndex): MsiIndex {
    if (index === "msi" || index === "msix") return this[index];
    throw new IrqBypassError("EINVAL", `index is ${show(index)}: vectors are of msi or msix`);
  }

  /** @internal Which other one of INTx, MSI and MSI-X is in use. */
  protected otherThan(index: IrqIndex): string | undefined {
    const inUse = [
      ["intx", DeviceUse.intx],
      ["msi", DeviceUse.msi],
      ["msix", DeviceUse.msix],
    ] as const;
    return inUse.find(([name, use]) => name !== index && this.life.uses(use))?.[0];
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
