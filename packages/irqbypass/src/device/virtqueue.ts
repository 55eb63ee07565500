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

  /** @internal Devices make their queues. */
  constructor(
    number: number,
    private readonly trigger: Trigger,
  ) {
    super();
    this.number = number;
  }

  /**
   * The device has used buffers and tells the driver. Nobody is told without a call eventfd, nor from a reset by status 0
   * until setVringCall or DRIVER_OK. Waits for nobody. Throws EBADF where it goes through an eventfd whose handle was closed.
   */
  signal(): void {
    this.signalled?.signal();
  }

  /** Which way a signal would go now; undefined without a call eventfd. */
  get path(): Path | undefined {
    return this.trigger.path;
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
    this.signalled = this.trigger.signalled;
  }

  /** @internal The device was reset and knows of no call eventfd any more, which stays the session's: until {@link rearm}. */
  disarm(): void {
    this.signalled = undefined;
  }
}
