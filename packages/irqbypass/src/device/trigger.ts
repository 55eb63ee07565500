import type { BypassHost } from "../bypass/bypass-host.js";
import { type Path, unbypassedPath } from "../bypass/path.js";
import { Producer } from "../bypass/producer.js";
import { requires } from "../bypass/remapping.js";
import type { EventfdContext } from "../eventfd/context.js";
import { irqfdOf } from "../eventfd/reference.js";
import { IrqBypassError } from "../host/errors.js";
import { REASONS, type Reason } from "../posting/reason.js";

/** What a signal goes to: the producer where there is one, otherwise the eventfd itself. */
export type Signalled = Producer | EventfdContext;

/** A trigger at one moment. */
export interface TriggerState {
  readonly eventfd: EventfdContext | undefined;
  readonly producer: Producer | undefined;
  readonly refusal: Reason | undefined;
}

/**
 * The eventfd that a device interrupt signals, with its producer. It need not have one: where the eventfd has a
 * producer already, or the other end refuses the connection, the interrupt works all the same and says why it is not
 * bypassed (vfio_msi_set_vector_signal and vhost_vdpa_setup_vq_irq log that and go on). Only where the irqfd requires
 * bypass is it refused.
 */
export class Trigger {
  private eventfd: EventfdContext | undefined;
  private producer: Producer | undefined;
  private refusal: Reason | undefined;

  constructor(
    private readonly host: BypassHost,
    private readonly kind: string | undefined,
  ) {}

  /**
   * Sets, replaces or (null) takes away the eventfd, which the caller has checked to be open. `irq` is the device's own
   * number for the interrupt, or the reason why it is not to be bypassed. Throws EOPNOTSUPP or what the other end said
   * where bypass is required, and ENOMEM; everything is as before then.
   */
  set(eventfd: EventfdContext | null, irq: number | Reason): void {
    if (eventfd === null) {
      this.producer?.dispose();
      this.keep(undefined);
      return;
    }
    if (typeof irq === "string") {
      this.producer?.dispose();
      this.keep(eventfd, undefined, irq);
      return;
    }
    const made = this.producer === undefined;
    const producer = this.producer ?? Producer.create(this.host, this.kind);
    try {
      if (made) producer.register(eventfd, irq);
      else producer.move(eventfd);
    } catch (error) {
      const refusal = this.bearable(error, eventfd);
      if (made) producer.undo();
      if (refusal === undefined) throw error;
      if (!made) producer.dispose();
      this.keep(eventfd, undefined, refusal);
      return;
    }
    this.keep(eventfd, producer);
  }

  /** What it is, to be put back by {@link restore}. */
  get state(): TriggerState {
    const { eventfd, producer, refusal } = this;
    return { eventfd, producer, refusal };
  }

  /** Puts back what was there before a block of changes failed: bypassed if that can be had again. */
  restore(before: TriggerState, irq: number | Reason): void {
    const { eventfd, producer, refusal } = before;
    if (producer === undefined) {
      this.producer?.undo(); // made in this block
      this.keep(eventfd, undefined, refusal);
      return;
    }
    if (eventfd === undefined || eventfd === this.eventfd) return;
    try {
      this.set(eventfd, irq);
    } catch (error) {
      if (!(error instanceof IrqBypassError)) throw error;
      // Somebody took its place meanwhile, or closed it: what cannot be refused is left without bypass.
      this.set(eventfd, "refused");
    }
  }

  /** The eventfd, or null without one. */
  get current(): EventfdContext | null {
    return this.eventfd ?? null;
  }

  /** The record of its producer, 0 while it has none. */
  get producerRecord(): number {
    return this.producer?.record ?? 0;
  }

  /** What a signal goes to; undefined without an eventfd. Changes only in `set` and `restore`. */
  get signalled(): Signalled | undefined {
    return this.producer ?? this.eventfd;
  }

  /** Which way a signal would go now; undefined without an eventfd. */
  get path(): Path | undefined {
    const { host, eventfd, producer } = this;
    if (eventfd === undefined || producer !== undefined) return producer?.path;
    return host.look(() => {
      const irqfd = irqfdOf(host, eventfd.record);
      return irqfd === 0 ? "relayed" : unbypassedPath(host, irqfd);
    });
  }

  /** Why it would not be bypassed; undefined while it would, and without an eventfd. */
  get reason(): Reason | undefined {
    return this.producer === undefined ? this.refusal : this.producer.reason;
  }

  private keep(eventfd: EventfdContext | undefined, producer?: Producer, refusal?: Reason): void {
    this.eventfd = eventfd;
    this.producer = producer;
    this.refusal = refusal;
  }

  /** The reason of a refusal that the interrupt can live with; undefined for an error that must be thrown. */
  private bearable(error: unknown, eventfd: EventfdContext): Reason | undefined {
    if (!(error instanceof IrqBypassError)) return undefined;
    const known = REASONS.find((reason) => reason === error.reason);
    const reason = error.code === "EBUSY" && known === undefined ? "another-producer" : known;
    if (reason === undefined || reason === "none") return undefined;
    return this.required(eventfd) ? undefined : reason;
  }

  private required(eventfd: EventfdContext): boolean {
    const { host } = this;
    return host.mutex.guard(() => {
      const consumer = host.manager.consumerAt(eventfd.record);
      return consumer !== 0 && requires(host, consumer);
    });
  }
}
