import type { BypassHost } from "../bypass/bypass-host.js";
import { Producer } from "../bypass/producer.js";
import type { EventfdContext } from "../eventfd/context.js";
import { IrqBypassError } from "../host/errors.js";

/** Options of a new device: how many vectors each index has. */
export interface VfioPciOptions {
  /** MSI-X table size: 0 (the default) to 2048. */
  readonly msix?: number;
}

/** The interrupt indexes of vfio-pci. */
export type IrqIndex = "msix";

const MAX_MSIX = 2048;

/**
 * The interrupt half of vfio-pci: each vector that has a trigger is a producer. A device belongs to the thread that
 * made it; that thread signals its vectors.
 */
export class VfioPciDevice implements Disposable {
  private readonly host: BypassHost;
  private readonly vectors: readonly DeviceVector[];

  constructor(host: BypassHost, { msix = 0 }: VfioPciOptions = {}) {
    if (!Number.isInteger(msix) || msix < 0 || msix > MAX_MSIX) {
      throw new IrqBypassError(
        "EINVAL",
        `msix is ${String(msix)}: a device has 0 to ${MAX_MSIX} MSI-X vectors`,
      );
    }
    this.host = host;
    this.vectors = Array.from({ length: msix }, (_, number) => new DeviceVector(number));
  }

  /**
   * Sets, replaces or (null) takes away the eventfd that a vector signals. Replacing is one operation: where the new
   * one is refused, the old one stays. Throws what registering throws.
   */
  setTrigger(index: IrqIndex, number: number, eventfd: EventfdContext | null): void {
    this.vector(index, number).setTrigger(this.host, eventfd);
  }

  /** A vector, to signal it. Throws EINVAL for one that the device does not have. */
  vector(index: IrqIndex, number: number): DeviceVector {
    const vector = index === "msix" ? this.vectors[number] : undefined;
    if (vector === undefined) {
      throw new IrqBypassError(
        "EINVAL",
        `${String(index)} ${String(number)}: this device has msix 0 to ${this.vectors.length - 1}`,
      );
    }
    return vector;
  }

  /** Takes away every trigger. */
  dispose(): void {
    for (const vector of this.vectors) vector.setTrigger(this.host, null);
  }

  [Symbol.dispose](): void {
    this.dispose();
  }
}

/** One MSI-X vector. */
export class DeviceVector {
  readonly number: number;
  private producer: Producer | undefined;

  constructor(number: number) {
    this.number = number;
  }

  /** The device raises the interrupt. Without a trigger it is lost, as on a device whose vector has no handler. */
  signal(): void {
    this.producer?.signal();
  }

  /** The producer behind it while it has a trigger: its path and reason. */
  get end(): Producer | undefined {
    return this.producer;
  }

  /** @internal */
  setTrigger(host: BypassHost, eventfd: EventfdContext | null): void {
    if (eventfd === null) {
      this.producer?.dispose();
      this.producer = undefined;
    } else if (this.producer !== undefined) {
      this.producer.move(eventfd);
    } else {
      const producer = Producer.create(host);
      try {
        producer.register(eventfd, this.number);
      } catch (error) {
        producer.dispose();
        throw error;
      }
      this.producer = producer;
    }
  }
}
