import type { Path } from "../bypass/path.js";
import { Gate } from "../host/layout.js";
import { Shown } from "../host/shown.js";
import type { Reason } from "../posting/reason.js";
import type { DeviceLife } from "./device-life.js";
import { hold, release } from "./gate.js";
import { signalGate } from "./owner.js";
import { Trigger } from "./trigger.js";
import type { TriggerChange } from "./trigger-changes.js";

/** One virtqueue of a vDPA device, as the device sees it: what to signal. */
export class Virtqueue extends Shown {
  /** Its number in the device. */
  readonly number: number;
  private readonly trigger: Trigger;

  /** @internal Devices make their queues. */
  constructor(
    number: number,
    private readonly life: DeviceLife,
    private readonly gate: number,
  ) {
    super();
    this.number = number;
    this.trigger = new Trigger(life, gate);
  }

  /**
   * The device has used buffers and tells the driver. Without a call eventfd nobody is told, and after a reset nobody until
   * SET_VRING_CALL names one. For the thread that has the device: EBUSY in others, see `adopt`. Waits for nobody; only the first
   * through a handle that was opened, and one that is refused, takes the device's mutex.
   */
  signal(): void {
    signalGate(this.life, this.gate, `queue ${this.number}`);
  }

  /** Which way a signal would go now; undefined without a call eventfd, and after a reset until SET_VRING_CALL. */
  get path(): Path | undefined {
    const armed = (this.life.host.words.load(this.gate) & Gate.disarmed) === 0;
    return armed ? this.trigger.path : undefined;
  }

  /** Why it would not be bypassed, as `DeviceVector.reason`; undefined while it would, and without a call eventfd. */
  get reason(): Reason | undefined {
    return this.trigger.reason;
  }

  /** @internal */
  protected describe(): object {
    const { number, path, reason } = this;
    return { number, path, reason };
  }

  /** @internal The record of its call eventfd, 0 without one. Under the device's mutex. */
  get call(): number {
    return this.trigger.eventfd;
  }

  /** @internal Gives it another call eventfd, or none. */
  change(eventfd: number, irq: number | Reason): TriggerChange {
    return { name: `queue ${this.number}`, trigger: this.trigger, eventfd, irq };
  }

  /** @internal The driver of the device is told whom to call (set_vq_cb). Under the device's mutex. */
  arm(): void {
    release(this.life, [this.gate], Gate.disarmed);
  }

  /**
   * @internal The mirror image: a reset forgets it (vdpasim_vq_reset, vduse_dev_reset). The call eventfd stays what vhost has, and a
   * producer of it from the next DRIVER_OK on.
   */
  disarm(): void {
    hold(this.life, this.gate, Gate.disarmed);
  }
}
