import type { EventfdContext } from "../eventfd/context.js";
import { checkWord, show } from "../host/argument.js";
import { IrqBypassError } from "../host/errors.js";
import { Device, DeviceUse, Eventfd } from "../host/layout.js";
import { Shown } from "../host/shown.js";
import type { Reason } from "../posting/reason.js";
import type { DeviceLife } from "./device-life.js";
import { claimSession, endSession, isClaimed } from "./session-end.js";
import { checkOpen } from "./set-irqs.js";
import { recordOf, setTriggers } from "./trigger-changes.js";
import type { VdpaOps } from "./vdpa-ops.js";
import type { Virtqueue } from "./virtqueue.js";

/** Device status bits (virtio specification, "Device Status Field"). */
export const VIRTIO_STATUS = {
  /** The guest has seen the device. */
  acknowledge: 1,
  /** The guest knows how to drive it. */
  driver: 2,
  /** The driver is ready: from here on queues may interrupt. */
  driverOk: 4,
  /** Features are agreed upon. */
  featuresOk: 8,
  /** The device cannot go on without a reset. */
  needsReset: 64,
  /** The driver has given up. */
  failed: 128,
} as const;

/**
 * An open vhost-vDPA device: what the VMM does to it (drivers/vhost/vdpa.c), in every thread that has it. Its calls are done under the
 * device's mutex, but for the device's own functions, which run in the calling thread.
 *
 * Differences from the kernel, on purpose: a call or config eventfd that is refused leaves the old one in use, with its
 * producer, where the kernel has lost the producer (or the eventfd) by then; and where an irqfd requires bypass that it
 * cannot have, the call that would leave it relayed is refused.
 */
export class VdpaSession extends Shown implements Disposable {
  /** By which it is told from an earlier or a later one. */
  private readonly opening: number;

  /** @internal `VdpaDevice.open` makes it, after a reset; `VdpaDevice.session` finds it. */
  constructor(
    private readonly life: DeviceLife,
    private readonly queues: readonly Virtqueue[],
    private readonly ops: VdpaOps,
  ) {
    super();
    this.opening = life.read(Device.opening);
  }

  /** False once it was released, in whichever thread. */
  get open(): boolean {
    const { life } = this;
    return (
      life.uses(DeviceUse.open) && life.read(Device.opener) > 0 && life.read(Device.opening) === this.opening
    );
  }

  /** The status bits that were set last. */
  get status(): number {
    const status = this.life.read(Device.status);
    this.check(); // behind it: it was this session's
    return status;
  }

  /**
   * Sets, replaces or (null) takes away the eventfd that a queue signals (VHOST_SET_VRING_CALL). Under DRIVER_OK the queue
   * becomes a producer at once; where another one has the eventfd it is not, and says `another-producer`, and is to be given it again once
   * that has left. Throws ENOBUFS for the number of a queue that the device does not have, EBADF for a closed eventfd,
   * EINVAL for what is none, ENOMEM, and EOPNOTSUPP with the reason where bypass is required and cannot be had; the old
   * one stays then. What the queue says meanwhile goes where the call leaves it. Blocks for the mutexes of the device and the host, and for
   * a signal that is under way.
   */
  setVringCall(queue: number, eventfd: EventfdContext | null): void {
    const { host } = this.life;
    host.checkChange();
    this.check();
    const target = typeof queue === "number" ? this.queues[queue] : undefined;
    if (target === undefined) {
      const has = `this device has 0 to ${this.queues.length - 1}`;
      throw new IrqBypassError(
        typeof queue === "number" ? "ENOBUFS" : "EINVAL",
        `there is no queue ${show(queue)}: ${has}`,
        {
          subject: `queue ${show(queue)}`,
        },
      );
    }
    if (eventfd !== null) checkOpen(host, `queue ${queue}`, eventfd);
    for (let done = false; !done; ) {
      const { status } = this;
      const irq = this.irqOf(target, status); // not under the mutex: it is the device's own function
      done = this.guard(() => {
        if (((this.status ^ status) & VIRTIO_STATUS.driverOk) !== 0) return false; // another thread has come in between
        setTriggers(this.life, [target.change(recordOf(eventfd), irq)]);
        target.arm();
        return true;
      });
    }
  }

  /** The mirror image for the config eventfd (VHOST_VDPA_SET_CONFIG_CALL). Throws EBADF, EINVAL. */
  setConfigCall(eventfd: EventfdContext | null): void {
    const { life } = this;
    life.host.checkChange();
    this.check();
    if (eventfd !== null) checkOpen(life.host, "the config call", eventfd);
    this.guard(() => {
      life.setEventfd(Device.config, recordOf(eventfd));
      life.use(DeviceUse.configArmed, true);
    });
  }

  /**
   * VHOST_VDPA_SET_STATUS. Setting DRIVER_OK makes the queues producers; 0 ends that, and then resets the device, which forgets whom
   * to call: its queues and its configuration tell nobody until {@link setVringCall} and {@link setConfigCall}. What another thread sets
   * meanwhile has been set before. Throws
   * EINVAL for what is no status and for bits taken away other than by 0; and what the reset throws, with the queues no
   * producers any more and the status as it was. Setting DRIVER_OK throws EBADF where a call eventfd has no handle any more, ENOMEM, and EOPNOTSUPP where an irqfd requires bypass that it
   * cannot have, with nothing changed. Blocks as {@link setVringCall}.
   */
  setStatus(status: number): void {
    this.life.host.checkChange();
    this.check();
    if (!Number.isInteger(status) || status < 0 || status > 255) {
      throw new IrqBypassError("EINVAL", `status is ${show(status)}: it is eight bits`);
    }
    this.checkBits(status);
    if (status === 0) {
      this.guard(() => this.unsetAll());
      this.ops.reset?.();
      this.life.guard(() => this.forgetCalls());
      return;
    }
    const sets = (status & ~this.status & VIRTIO_STATUS.driverOk) !== 0;
    // Asked first, all of them: what the device's own function throws has changed nothing.
    const irqs = sets ? this.queues.map((queue) => this.irqOf(queue, status)) : [];
    this.guard(() => {
      this.checkBits(status);
      if (sets) {
        this.checkCalls();
        this.setCalls((queue) => ({ eventfd: queue.call, irq: irqs[queue.number]! }));
      }
      this.setBits(status);
    });
  }

  /**
   * Closes the device: its queues stop being producers, then it is reset, then the eventfds are let go. Throws what the
   * reset throws, with all of that done. Doing it again, or in another thread, does nothing.
   */
  release(): void {
    const { life } = this;
    if (!this.open) return;
    life.host.checkChange();
    if (!life.mutex.enclose(() => this.close())) return;
    try {
      this.ops.reset?.();
    } finally {
      life.act(() => {
        if (isClaimed(life)) endSession(life); // unless the device is being disposed meanwhile
      });
    }
  }

  /** @internal It is not open any more, and what is left is the calling thread's to end. Was it open? Under the device's mutex. */
  close(): boolean {
    if (!this.open) return false;
    this.unsetAll(); // first: this may be refused
    claimSession(this.life);
    return true;
  }

  /** As {@link release}. */
  [Symbol.dispose](): void {
    this.release();
  }

  /** The number of a queue's interrupt, or why it is not to be bypassed (vhost_vdpa_setup_vq_irq). */
  private irqOf(queue: Virtqueue, status: number): number | Reason {
    if ((status & VIRTIO_STATUS.driverOk) === 0) return "no-driver-ok";
    const irq = this.ops.getVqIrq?.(queue.number) ?? -1;
    checkWord(irq, "what getVqIrq returned");
    return irq < 0 ? "no-irq" : irq;
  }

  /** Gives all queues other call eventfds, or none of them. */
  private setCalls(call: (queue: Virtqueue) => { eventfd: number; irq: number | Reason }): void {
    setTriggers(
      this.life,
      this.queues.map((queue) => {
        const { eventfd, irq } = call(queue);
        return queue.change(eventfd, irq);
      }),
    );
  }

  /** A call eventfd that nobody can read is a mistake of the VMM's, and is told. */
  private checkCalls(): void {
    const { words, mutex } = this.life.host;
    for (const { number, call } of this.queues) {
      if (call === 0 || mutex.guard(() => words.get(call + Eventfd.handles)) !== 0) continue;
      throw new IrqBypassError("EBADF", `the call eventfd of queue ${number} was closed: set another one`, {
        subject: `queue ${number}`,
      });
    }
  }

  /** vhost_vdpa_unsetup_vq_irq for all: the call eventfds stay, the producers go. */
  private unsetAll(): void {
    this.setCalls(({ call: eventfd }) => ({ eventfd, irq: "no-driver-ok" }));
  }

  /** What a reset does to the callbacks that the device has been given; one that fails leaves them. */
  private forgetCalls(): void {
    if (!this.open) return; // released meanwhile
    this.unsetAll(); // once more: what another thread has set up while the device was being reset comes before that
    for (const queue of this.queues) queue.disarm();
    this.life.use(DeviceUse.configArmed, false);
    this.setBits(0);
  }

  private setBits(status: number): void {
    this.life.host.words.store(this.life.record + Device.status, status);
  }

  private checkBits(status: number): void {
    const { status: now } = this;
    if (status === 0 || (now & ~status) === 0) return;
    throw new IrqBypassError(
      "EINVAL",
      `status ${status} takes bits of ${now} away: only a reset (status 0) does that`,
    );
  }

  /** @internal */
  protected describe(): object {
    return { queues: this.queues.length, status: this.status };
  }

  /** Runs `section` under the device's mutex, while the session is open. */
  private guard<T>(section: () => T): T {
    return this.life.mutex.enclose(() => {
      this.check();
      return section();
    });
  }

  private check(): void {
    this.life.host.checkAttached();
    if (!this.open) throw new IrqBypassError("EBADF", "this session was released: open the device again");
  }
}
