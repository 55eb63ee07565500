import type { BypassHost } from "../bypass/bypass-host.js";
import type { EventfdContext } from "../eventfd/context.js";
import { checkWord, show } from "../host/argument.js";
import { IrqBypassError } from "../host/errors.js";
import { Shown } from "../host/shown.js";
import type { Reason } from "../posting/reason.js";
import { checkOpen } from "./set-irqs.js";
import { setTriggers } from "./trigger-changes.js";
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
 * An open vhost-vDPA device: what the VMM does to it (drivers/vhost/vdpa.c).
 *
 * Differences from the kernel, on purpose: a call or config eventfd that is refused leaves the old one in use, with its
 * producer, where the kernel has lost the producer (or the eventfd) by then; and where an irqfd requires bypass that it
 * cannot have, the call that would leave it relayed is refused.
 */
export class VdpaSession extends Shown implements Disposable {
  private statusBits = 0;
  private config: EventfdContext | null = null;
  /** Has the device been told of it, since its last reset? */
  private configArmed = false;
  private isOpen = true;

  /** @internal `VdpaDevice.open` makes it, after a reset. */
  constructor(
    private readonly host: BypassHost,
    private readonly queues: readonly Virtqueue[],
    private readonly ops: VdpaOps,
  ) {
    super();
  }

  /** False once it was released. */
  get open(): boolean {
    return this.isOpen;
  }

  /** The status bits that were set last. */
  get status(): number {
    this.check();
    return this.statusBits;
  }

  /**
   * Sets, replaces or (null) takes away the eventfd that a queue signals (VHOST_SET_VRING_CALL). Under DRIVER_OK the queue
   * becomes a producer at once. Throws ENOBUFS for the number of a queue that the device does not have, EBADF for a closed eventfd,
   * EINVAL for what is none, ENOMEM, and EOPNOTSUPP with the reason where bypass is required and cannot be had; the old
   * one stays then.
   */
  setVringCall(queue: number, eventfd: EventfdContext | null): void {
    this.host.checkCall();
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
    if (eventfd !== null) checkOpen(this.host, `queue ${queue}`, eventfd);
    const irq = this.irqOf(target, this.statusBits);
    this.check(); // the device's own function may have released it
    this.setCalls([target], () => ({ eventfd, irq }));
    target.arm();
  }

  /** The mirror image for the config eventfd (VHOST_VDPA_SET_CONFIG_CALL). Throws EBADF, EINVAL. */
  setConfigCall(eventfd: EventfdContext | null): void {
    this.check();
    if (eventfd !== null) checkOpen(this.host, "the config call", eventfd);
    this.config = eventfd;
    this.configArmed = true;
  }

  /**
   * VHOST_VDPA_SET_STATUS. Setting DRIVER_OK makes the queues producers; 0 ends that, and then resets the device, which forgets whom
   * to call: its queues and its configuration tell nobody until {@link setVringCall} and {@link setConfigCall}. Throws
   * EINVAL for what is no status and for bits taken away other than by 0; and what the reset throws, with the queues no
   * producers any more and the status as it was. Setting DRIVER_OK throws EBADF where the handle of a call eventfd was
   * closed meanwhile, ENOMEM, and EOPNOTSUPP where an irqfd requires bypass that it cannot have, with nothing changed.
   */
  setStatus(status: number): void {
    this.host.checkCall();
    this.check();
    if (!Number.isInteger(status) || status < 0 || status > 255) {
      throw new IrqBypassError("EINVAL", `status is ${show(status)}: it is eight bits`);
    }
    if (status !== 0 && (this.statusBits & ~status) !== 0) {
      throw new IrqBypassError(
        "EINVAL",
        `status ${status} takes bits of ${this.statusBits} away: only a reset (status 0) does that`,
      );
    }
    if (status === 0) {
      this.unsetAll();
      this.ops.reset?.();
      this.forgetCalls();
      this.statusBits = 0;
      return;
    }
    if ((status & ~this.statusBits & VIRTIO_STATUS.driverOk) !== 0) {
      // Asked first, all of them: what the device's own function throws has changed nothing.
      const irqs = this.queues.map((queue) => this.irqOf(queue, status));
      this.check();
      this.setCalls(this.queues, (queue) => ({ eventfd: queue.call, irq: irqs[queue.number]! }));
    }
    this.statusBits = status;
  }

  /**
   * Closes the device: its queues stop being producers, then it is reset, then the eventfds are let go. Throws what the
   * reset throws, with all of that done. Doing it again does nothing.
   */
  release(): void {
    if (!this.isOpen) return;
    this.host.checkCall();
    this.unsetAll(); // first: this may be refused
    this.isOpen = false;
    try {
      this.ops.reset?.();
    } finally {
      this.statusBits = 0;
      this.config = null;
      this.setCalls(this.queues, () => ({ eventfd: null, irq: "no-driver-ok" }));
    }
  }

  /** As {@link release}. */
  [Symbol.dispose](): void {
    this.release();
  }

  /** @internal */
  signalConfig(): void {
    if (this.configArmed && this.config?.closed === false) this.config.signal();
  }

  /** The number of a queue's interrupt, or why it is not to be bypassed (vhost_vdpa_setup_vq_irq). */
  private irqOf(queue: Virtqueue, status: number): number | Reason {
    if ((status & VIRTIO_STATUS.driverOk) === 0) return "no-driver-ok";
    const irq = this.ops.getVqIrq?.(queue.number) ?? -1;
    checkWord(irq, "what getVqIrq returned");
    return irq < 0 ? "no-irq" : irq;
  }

  /** Gives queues other call eventfds, or none of them. */
  private setCalls(
    queues: readonly Virtqueue[],
    call: (queue: Virtqueue) => { eventfd: EventfdContext | null; irq: number | Reason },
  ): void {
    try {
      setTriggers(
        this.host,
        queues.map((queue) => {
          const { eventfd, irq } = call(queue);
          return queue.change(eventfd, irq);
        }),
      );
    } finally {
      for (const queue of queues) queue.rearm();
    }
  }

  /** vhost_vdpa_unsetup_vq_irq for all: the call eventfds stay, the producers go. */
  private unsetAll(): void {
    this.setCalls(this.queues, ({ call: eventfd }) => ({ eventfd, irq: "no-driver-ok" }));
  }

  /** What a reset does to the callbacks that the device has been given; one that fails leaves them. */
  private forgetCalls(): void {
    for (const queue of this.queues) queue.disarm();
    this.configArmed = false;
  }

  /** @internal */
  protected describe(): object {
    return { queues: this.queues.length, status: this.status };
  }

  private check(): void {
    if (!this.isOpen) throw new IrqBypassError("EBADF", "this session was released: open the device again");
  }
}
