import type { BypassHost } from "../bypass/bypass-host.js";
import { producerKind } from "../bypass/producer.js";
import { checkParts, type OptionNames, reading, readOptions, show } from "../host/argument.js";
import { IrqBypassError } from "../host/errors.js";
import type { Handle } from "../host/handle.js";
import { Device, DeviceFlag, DeviceUse, Gate } from "../host/layout.js";
import { checkHost } from "../host/memory.js";
import { Shown } from "../host/shown.js";
import type { DeviceLife } from "./device-life.js";
import { adoptDevice, createDevice, endDevice, finishDevice, handleOf, openDevice } from "./device-record.js";
import { endProducer } from "./producers.js";
import { claimSession, endSession, isClaimed } from "./session-end.js";
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

/** Options of a vDPA device that another thread has made. */
export interface VdpaOpenOptions {
  /** What its driver can do, in this thread: it is asked in the thread that makes a call. Nothing if absent. */
  readonly ops?: VdpaOps;
}

const OPTIONS: OptionNames<VdpaOptions> = { queues: true, ops: true, kind: true };
const OPEN_OPTIONS: OptionNames<VdpaOpenOptions> = { ops: true };
const OPS: OptionNames<VdpaOps> = { getVqIrq: true, reset: true };
const OPS_TEXT = "ops with getVqIrq and reset, or none";
const OPEN_TEXT = "options such as { ops }, or none";
const MAX_QUEUES = 65535;

/**
 * The interrupt half of vhost-vDPA: each virtqueue that has a call eventfd, and an interrupt of its own, is a producer
 * while the driver has set DRIVER_OK. The device signals its queues, in the thread that made it until another one adopts it; the VMM
 * opens it and drives it through the session, in whichever thread. It ends with `dispose`, and with the thread that may signal it: it
 * cannot be opened any more then; its queues go on, and signal nobody.
 */
export class VdpaDevice extends Shown implements Disposable {
  private readonly host: BypassHost;
  private readonly life: DeviceLife;
  private disposed = false;
  private readonly ops: VdpaOps;
  private readonly queues: readonly Virtqueue[];

  /**
   * A new device, which the calling thread may signal. Throws EINVAL for bad options, ENOMEM when the host is full.
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
  constructor(host: BypassHost, options: VdpaOptions);
  /** @internal For one that is opened. */
  constructor(host: BypassHost, options: VdpaOpenOptions, opened: DeviceLife);
  constructor(host: BypassHost, options: VdpaOptions | VdpaOpenOptions, opened?: DeviceLife) {
    super();
    const { ops, life } = opened === undefined ? newDevice(host, options) : opens(options, opened);
    this.host = host;
    this.ops = ops;
    this.life = life;
    this.queues = life.gates.map((gate, number) => new Virtqueue(number, life, gate));
  }

  /**
   * A device that another thread has made, for this one, which opens it or uses its {@link session}; to signal its queues is the other one's, until
   * {@link adopt}. Throws ESTALE when it has ended, and for the handle of something else, EXDEV for one of another host, EINVAL for bad options.
   *
   * @example
   * ```ts
   * import { Host, VdpaDevice } from "irqbypass";
   *
   * const host = Host.create();
   * const disk = new VdpaDevice(host, { queues: 1 });
   * disk.open().setStatus(3);
   * const again = VdpaDevice.open(Host.attach(host.handle), disk.handle); // in another thread
   * console.log(again.session?.status); // 3
   * ```
   */
  static open(host: BypassHost, handle: Handle<"vdpa device">, options: VdpaOpenOptions = {}): VdpaDevice {
    checkHost(host);
    const read = readOptions(options, OPEN_OPTIONS, OPEN_TEXT);
    return new VdpaDevice(host, read, openDevice(host, handle, DeviceFlag.vdpa));
  }

  /** What another thread passes to `VdpaDevice.open`. Throws EBADF when the device has ended. */
  get handle(): Handle<"vdpa device"> {
    this.host.checkCall();
    return handleOf(this.life);
  }

  /**
   * From here on this thread signals the queues, and no other one: `signal` is EBUSY there. What they had begun to signal has arrived
   * when this returns; an interrupt that this thread cannot post or inject is relayed from here on. Throws EBUSY while another thread is in
   * the middle of a signal, with nothing changed: try again. Blocks for the device's mutex. The device ends with this thread then.
   */
  adopt(): void {
    this.host.checkChange();
    adoptDevice(this.life);
  }

  /**
   * Opens the device for a VMM, resetting it. Throws EBUSY while it is open, or another thread opens or releases it, with nothing done;
   * what the reset throws (it is closed then), and EBADF when it was disposed, also meanwhile.
   */
  open(): VdpaSession {
    const { host, life } = this;
    host.checkCall();
    // Before the reset: what another thread has open is not reset.
    life.guard(() => {
      this.checkClosed();
      host.words.add(life.record + Device.opening, 1);
      claimSession(life);
    });
    try {
      this.ops.reset?.();
    } catch (error) {
      life.act(() => {
        if (isClaimed(life)) endSession(life);
      });
      throw error;
    }
    return life.guard(() => {
      if (!isClaimed(life))
        throw new IrqBypassError("EBADF", "this device is being disposed: make another one");
      host.words.store(life.record + Device.opener, host.thread.record);
      return new VdpaSession(life, this.queues, this.ops);
    });
  }

  /** The session that is open, whoever has opened it; undefined while none is. Threads of a VMM share it. */
  get session(): VdpaSession | undefined {
    this.life.check();
    const session = new VdpaSession(this.life, this.queues, this.ops);
    return session.open ? session : undefined;
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

  /** The device's configuration has changed: signals the config eventfd, if there is one. From any thread; blocks for the device's mutex. */
  configChanged(): void {
    const { life } = this;
    life.act(() => {
      if (life.uses(DeviceUse.configArmed)) life.signalEventfd(Device.config);
    });
  }

  /**
   * Releases the session, if the device is open in whichever thread, and closes the device in every thread, also in one that is just opening
   * or releasing it. Throws what its reset throws, with all of that done. Doing it again does nothing.
   */
  dispose(): void {
    if (this.disposed || (!this.host.thread.left && !this.life.isLive())) return;
    const { host, life } = this;
    host.checkChange();
    const wasOpen = life.mutex.enclose(() => {
      if (!life.isLive()) return false;
      if (new VdpaSession(life, this.queues, this.ops).close()) return true;
      // Nobody has it open, or who is just opening or releasing it finds out.
      host.mutex.enclose(() => {}); // a thread that may not wait for it is refused here
      finishDevice(life, endProducer);
      return false;
    });
    try {
      if (wasOpen) this.ops.reset?.();
    } finally {
      if (wasOpen) endDevice(life, endProducer);
      this.disposed = true;
    }
  }

  /** As {@link dispose}. */
  [Symbol.dispose](): void {
    this.dispose();
  }

  /** @internal */
  protected describe(): object {
    return { queues: this.queues.length, session: this.session ?? null };
  }

  private checkClosed(): void {
    if (this.life.uses(DeviceUse.open)) {
      throw new IrqBypassError(
        "EBUSY",
        "this device is open already, or is just being opened or released: release it there first",
      );
    }
  }
}

function newDevice(host: BypassHost, options: unknown) {
  const {
    queues,
    ops = {},
    kind,
  } = readOptions(options as VdpaOptions, OPTIONS, "options such as { queues: 2 }");
  const calls = readOps(ops);
  checkHost(host);
  const number = producerKind(host, kind);
  checkOps(calls);
  if (!Number.isInteger(queues) || queues < 1 || queues > MAX_QUEUES) {
    throw new IrqBypassError("EINVAL", `queues is ${show(queues)}: a device has 1 to ${MAX_QUEUES}`);
  }
  const life = createDevice(host, {
    flags: DeviceFlag.vdpa,
    kind: number,
    msi: 0,
    msix: queues,
    available: Infinity,
    gate: Gate.queue | Gate.disarmed,
  });
  return { ops, life };
}

function opens({ ops = {} }: VdpaOpenOptions, life: DeviceLife) {
  checkOps(readOps(ops));
  return { ops, life };
}

function readOps(ops: VdpaOps) {
  checkParts(ops, OPS, OPS_TEXT, "ops.");
  return reading(OPS_TEXT, () => ({ getVqIrq: ops.getVqIrq, reset: ops.reset }));
}

function checkOps(calls: object): void {
  for (const [name, op] of Object.entries(calls)) {
    if (op === undefined || typeof op === "function") continue;
    throw new IrqBypassError("EINVAL", `ops.${name} is ${show(op)}: give a function, or none`);
  }
}
