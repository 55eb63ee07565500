/** What a vDPA device's driver can do (struct vdpa_config_ops), as far as interrupts need it. */
export interface VdpaOps {
  /**
   * The device's number for the interrupt of a queue. Negative: the queue has none of its own, because it is disabled or
   * shares one, and is not bypassed. Without this operation no queue is.
   */
  readonly getVqIrq?: (queue: number) => number;
  /** Resets the device. What it throws is passed on. No queue is a producer any more when it is called. */
  readonly reset?: () => void;
}
