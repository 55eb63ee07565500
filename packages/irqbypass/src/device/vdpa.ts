import type { BypassHost } from "../bypass/bypass-host.js";
import { producerKind } from "../bypass/producer.js";
import { checkParts, type OptionNames, reading, readOptions, show } from "../host/argument.js";
import { IrqBypassError } from "../host/errors.js";
import { checkHost } from "../host/memory.js";
import { Shown } from "../host/shown.js";
import { Trigger } from "./trigger.js";
import type { VdpaOps } from "./vdpa-ops.js";
import { VdpaSession } from "./vdpa-session.js";
import { Virtqueue } from "./virtqueue.js";

/** Options of a new vDPA device. */
export interface VdpaOptions {
  /** Virtqueues: 1 to 65535. */
  readonly queues: number;
  /** What its driver can do; nothing if absent. */
  readonly ops?: VdpaOps;
  /** Name of a kind of the host, whose producer operations its queues get. Default: none, as most devices. */
  readonly kind?: string;
}

const OPTIONS: OptionNames<VdpaOptions> = { queues: true, ops: true, kind: true };
const OPS: OptionNames<VdpaOps> = { getVqIrq: true, reset: true };
const OPS_TEXT = "ops with getVqIrq and reset, or none";
const MAX_QUEUES = 65535;

/**
 * The interrupt half of vhost-vDPA: each virtqueue that has a call eventfd, and an interrupt of its own, is a producer
 * while the driver has set DRIVER_OK. The device signals its queues; the VMM opens it and drives it through the session.
 * Both in the thread that made it. After `dispose` it cannot be opened any more; its queues go on, and signal nobody.
 */
export class VdpaDevice extends Shown implements Disposable {
  private readonly host: BypassHost;
  private readonly ops: VdpaOps;
  private readonly queues: readonly Virtqueue[];
  private session: VdpaSession | undefined;
  private disposed = false;

  /**
   * Throws EINVAL for bad options.
   *
   * @example
   * ```ts
   * import { Eventfd, Host, VdpaDevice, VIRTIO_STATUS } from "irqbypass";
   *
   * const host = Host.create();
   * using disk = new VdpaDevice(host, { queues: 1, ops: { getVqIrq: () => 40 } });
   * const session = disk.open();
   * session.setVringCall(0, Eventfd.create(host));
   * session.setStatus(VIRTIO_STATUS.acknowledge | VIRTIO_STATUS.driver | VIRTIO_STATUS.driverOk);
   * disk.queue(0).signal();
   * ```
   */
  constructor(host: BypassHost, options: VdpaOptions) {
    super();
    const { queues, ops = {}, kind } = readOptions(options, OPTIONS, "options such as { queues: 2 }");
    checkParts(ops, OPS, OPS_TEXT, "ops.");
    const calls = reading(OPS_TEXT, () => ({ getVqIrq: ops.getVqIrq, reset: ops.reset }));
    checkHost(host);
    producerKind(host, kind);
    for (const [name, op] of Object.entries(calls)) {
      if (op === undefined || typeof op === "function") continue;
      throw new IrqBypassError("EINVAL", `ops.${name} is ${show(op)}: give a function, or none`);
    }
    if (!Number.isInteger(queues) || queues < 1 || queues > MAX_QUEUES) {
      throw new IrqBypassError("EINVAL", `queues is ${show(queues)}: a device has 1 to ${MAX_QUEUES}`);
    }
    this.host = host;
    this.ops = ops;
    this.queues = Array.from(
      { length: queues },
      (_, number) => new Virtqueue(number, new Trigger(host, kind)),
    );
  }

  /**
   * Opens the device for a VMM, resetting it. Throws EBUSY while it is open, what the reset throws (it is closed then),
   * and EBADF when it was disposed.
   */
  open(): VdpaSession {
    this.host.checkCall();
    this.checkClosed();
    this.ops.reset?.();
    this.checkClosed(); // what the device's own function may have done
    this.session = new VdpaSession(this.host, this.queues, this.ops);
    return this.session;
  }

  /** A queue, to signal it. Throws EINVAL for one that the device does not have. */
  queue(number: number): Virtqueue {
    const queue = Number.isInteger(number) ? this.queues[number] : undefined;
    if (queue !== undefined) return queue;
    throw new IrqBypassError(
      "EINVAL",
      `there is no queue ${show(number)}: this device has 0 to ${this.queues.length - 1}`,
    );
  }

  /** The device's configuration has changed: signals the config eventfd, if there is one. */
  configChanged(): void {
    this.session?.signalConfig();
  }

  /** Releases the session, if the device is open. Doing it again does nothing. */
  dispose(): void {
    if (this.disposed) return;
    this.host.checkCall();
    try {
      this.session?.release();
    } finally {
      this.disposed = this.session?.open !== true; // also where its reset has thrown
    }
  }

  /** As {@link dispose}. */
  [Symbol.dispose](): void {
    this.dispose();
  }

  /** @internal */
  protected describe(): object {
    this.check();
    return { queues: this.queues.length, session: this.session?.open === true ? this.session : null };
  }

  private checkClosed(): void {
    this.check();
    if (this.session?.open === true) {
      throw new IrqBypassError("EBUSY", "this device is open already: release it there first");
    }
  }

  private check(): void {
    this.host.checkAttached();
    if (this.disposed) throw new IrqBypassError("EBADF", "this device was disposed: make another one");
  }
}
