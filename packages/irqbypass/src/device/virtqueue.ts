import type { Path } from "../bypass/path.js";
import type { EventfdContext } from "../eventfd/context.js";
import { Shown } from "../host/shown.js";
import type { Reason } from "../posting/reason.js";
import type { Signalled, Trigger } from "./trigger.js";
import type { TriggerChange } from "./trigger-changes.js";

/** One virtqueue of a vDPA device, as the device sees it: what to signal. For the thread that made the device only. */
export class Virtqueue extends Shown {
  /** Its number in the device. */
  readonly number: number;
  private signalled: Signalled | undefined;
  /** Has the device's driver been told whom to call, since its last reset? */
  private armed = false;

  /** @internal Devices make their queues. */
  constructor(
    number: number,
    private readonly trigger: Trigger,
  ) {
    super();
    this.number = number;
  }

  /**
   * The device has used buffers and tells the driver. Without a call eventfd nobody is told, and after a reset nobody until
   * SET_VRING_CALL names one. Waits for nobody. Throws EBADF where it goes through an eventfd whose handle was closed.
   */
  signal(): void {
    this.signalled?.signal();
  }

  /** Which way a signal would go now; undefined without a call eventfd, and after a reset until SET_VRING_CALL. */
  get path(): Path | undefined {
    return this.armed ? this.trigger.path : undefined;
  }

  /** Why it would not be bypassed; undefined while it would, and without a call eventfd. */
  get reason(): Reason | undefined {
    return this.trigger.reason;
  }

  /** @internal */
  protected describe(): object {
    const { number, path, reason } = this;
    return { number, path, reason };
  }

  /** @internal */
  get call(): EventfdContext | null {
    return this.trigger.current;
  }

  /** @internal Gives it another call eventfd, or none. {@link rearm} follows, whether that was refused or not. */
  change(eventfd: EventfdContext | null, irq: number | Reason): TriggerChange {
    return { name: `queue ${this.number}`, trigger: this.trigger, eventfd, irq };
  }

  /** @internal */
  rearm(): void {
    this.signalled = this.armed ? this.trigger.signalled : undefined;
  }

  /** @internal The driver of the device is told whom to call (set_vq_cb). */
  arm(): void {
    this.armed = true;
    this.rearm();
  }

  /**
   * @internal The mirror image: a reset forgets it (vdpasim_vq_reset, vduse_dev_reset). The call eventfd stays what vhost has, and a
   * producer of it from the next DRIVER_OK on.
   */
  disarm(): void {
    this.armed = false;
    this.rearm();
  }
}
