import { type Path, pathOf, reasonOfProducer } from "../bypass/path.js";
import { requires } from "../bypass/remapping.js";
import { isUnheard } from "../eventfd/listen.js";
import { IrqBypassError } from "../host/errors.js";
import { Device, Eventfd, Gate, Producer } from "../host/layout.js";
import { relayed } from "../posting/irte.js";
import { REASONS, type Reason } from "../posting/reason.js";
import type { DeviceLife } from "./device-life.js";
import { producerOf } from "./gate.js";
import { createProducer, endProducer, keep, letGo, undoProducer } from "./producers.js";

/** What a change of a trigger has done, until it is known whether it stays. */
export interface Changed {
  /** It stays: what it replaced is let go. */
  keep(): void;
  /** Puts back what was there: bypassed, if that can be had again. */
  undo(): void;
}

/**
 * The eventfd that a device interrupt signals, with its producer. That need not be registered: where the eventfd has a
 * producer already, or the other end refuses the connection, the interrupt works all the same and says why it is not
 * bypassed (vfio_msi_set_vector_signal and vhost_vdpa_setup_vq_irq log that and go on). Only where the irqfd requires
 * bypass is it refused.
 */
export class Trigger {
  constructor(
    private readonly life: DeviceLife,
    /** The gate of the interrupt. */
    readonly gate: number,
  ) {}

  /** The record of its producer, 0 while it has none. Under the device's mutex. */
  get producer(): number {
    return producerOf(this.life.host, this.life.host.words.load(this.gate));
  }

  /** The record of the eventfd, 0 without one. Under the device's mutex. */
  get eventfd(): number {
    const { producer } = this;
    return producer === 0 ? 0 : this.life.host.words.load(producer + Producer.holds);
  }

  /**
   * Sets, replaces or (0) takes away the eventfd, which the caller has checked to be open. `irq` is the device's own
   * number for the interrupt, or the reason why it is not to be bypassed. Under the device's mutex, with the gate held back. Throws EOPNOTSUPP or what
   * the other end said where bypass is required, and ENOMEM; everything is as before then.
   */
  set(eventfd: number, irq: number | Reason): Changed {
    const { life, gate } = this;
    const { host } = life;
    const { words, manager, mutex } = host;
    const old = this.producer;
    if (old === 0) return eventfd === 0 ? NOTHING : this.first(eventfd, irq);
    const before = this.state(old);
    if (eventfd === 0) {
      manager.unregisterProducer(old);
      return {
        keep: () => {
          words.and(gate, (1 << Gate.producerShift) - 1);
          endProducer(host, old);
        },
        undo: () => this.restore(old, before, irq),
      };
    }
    const moves = eventfd !== before.eventfd;
    const take = () => {
      if (moves) keep(host, old, eventfd);
    };
    const relay = (reason: Reason) => {
      manager.unregisterProducer(old);
      mutex.guard(() => {
        if (words.load(old + Producer.holds) !== eventfd) take();
        words.store(old + Producer.irte, relayed(reason));
      });
    };
    if (typeof irq === "string") relay(irq);
    else {
      try {
        if (before.registered) manager.moveProducer(old, eventfd, take);
        else {
          manager.registerProducer(old, eventfd, irq, words.load(life.record + Device.owner));
          mutex.guard(take);
        }
      } catch (error) {
        const refusal = this.bearable(error, eventfd);
        if (refusal === undefined) {
          if (!before.registered) words.store(old + Producer.irte, before.entry);
          throw error;
        }
        relay(refusal);
      }
    }
    return {
      keep: () => {
        if (moves) letGo(host, before.eventfd);
      },
      undo: () => this.restore(old, before, irq),
    };
  }

  /** It is no producer, until {@link set}: another one of the same block comes to its eventfd first. As that. */
  leave(irq: number | Reason): Changed {
    const { producer } = this;
    const before = this.state(producer);
    this.life.host.manager.unregisterProducer(producer);
    return { keep() {}, undo: () => this.restore(producer, before, irq) };
  }

  /** The first eventfd of an interrupt that has none. */
  private first(eventfd: number, irq: number | Reason): Changed {
    const { life, gate } = this;
    const { host } = life;
    const { words, manager, pools } = host;
    const producer = createProducer(life, gate, eventfd);
    let reason = typeof irq === "string" ? irq : undefined;
    if (typeof irq === "number") {
      try {
        manager.registerProducer(producer, eventfd, irq, words.load(life.record + Device.owner));
      } catch (error) {
        reason = this.bearable(error, eventfd);
        if (reason === undefined) {
          undoProducer(host, producer);
          throw error;
        }
      }
    }
    if (reason !== undefined) words.store(producer + Producer.irte, relayed(reason));
    words.or(gate, (pools.producer.slot(producer) + 1) << Gate.producerShift);
    return {
      keep() {},
      undo: () => {
        words.and(gate, (1 << Gate.producerShift) - 1);
        undoProducer(host, producer);
      },
    };
  }

  private state(producer: number) {
    const { words, mutex } = this.life.host;
    return mutex.guard(() => ({
      eventfd: words.load(producer + Producer.holds),
      registered: words.get(producer + Producer.eventfd) !== 0,
      entry: words.load(producer + Producer.irte),
    }));
  }

  private restore(producer: number, before: ReturnType<Trigger["state"]>, irq: number | Reason): void {
    const { life } = this;
    const { host } = life;
    const { words, manager, mutex } = host;
    const now = this.state(producer);
    if (before.registered && !(now.registered && now.eventfd === before.eventfd)) {
      try {
        if (now.registered) manager.moveProducer(producer, before.eventfd);
        else {
          const number = typeof irq === "number" ? irq : -1;
          manager.registerProducer(producer, before.eventfd, number, words.load(life.record + Device.owner));
        }
      } catch (error) {
        if (!(error instanceof IrqBypassError)) throw error;
        // Somebody took its place meanwhile: what cannot be refused is left without bypass.
        manager.unregisterProducer(producer);
        words.store(producer + Producer.irte, relayed("refused"));
      }
    } else if (!before.registered) {
      manager.unregisterProducer(producer);
      words.store(producer + Producer.irte, before.entry);
    }
    if (now.eventfd === before.eventfd) return;
    mutex.guard(() => words.store(producer + Producer.holds, before.eventfd));
    letGo(host, now.eventfd);
  }

  /** Which way a signal would go now; undefined without an eventfd. */
  get path(): Path | undefined {
    return this.look((producer) => pathOf(this.life.host, producer));
  }

  /** Why it would not be bypassed; undefined while it would, and without an eventfd. */
  get reason(): Reason | undefined {
    return this.look((producer) => reasonOfProducer(this.life.host, producer));
  }

  /** Does a signal wait in the eventfd, whose irqfd was taken away? Not once nobody can hear it: its last handle was closed. */
  get isUnheard(): boolean {
    const { host } = this.life;
    const { words } = host;
    const eventfd = this.look((producer) => {
      const held = words.load(producer + Producer.holds);
      return words.get(held + Eventfd.handles) === 0 ? 0 : held;
    });
    return !!eventfd && isUnheard(host, eventfd);
  }

  /** Looks at its producer under the host mutex, under which none is given back; undefined without one. */
  private look<T>(section: (producer: number) => T): T | undefined {
    const { life, gate } = this;
    const { host } = life;
    if (host.thread.left || !life.isLive()) return undefined;
    return host.look(() => {
      const producer = producerOf(host, host.words.load(gate));
      const isIts = producer !== 0 && host.words.get(producer + Producer.gate) === gate;
      return isIts && life.isLive() ? section(producer) : undefined;
    });
  }

  /** The reason of a refusal that the interrupt can live with; undefined for an error that must be thrown. */
  private bearable(error: unknown, eventfd: number): Reason | undefined {
    const reason = whyRefused(error);
    return reason === undefined || this.required(eventfd) ? undefined : reason;
  }

  private required(eventfd: number): boolean {
    const { host } = this.life;
    return host.mutex.guard(() => {
      const consumer = host.manager.consumerAt(eventfd);
      return consumer !== 0 && requires(host, consumer);
    });
  }
}

/** Why the manager refuses a producer its place or its connection; undefined for any other error. */
export function whyRefused(error: unknown): Reason | undefined {
  if (!(error instanceof IrqBypassError)) return undefined;
  const known = REASONS.find((reason) => reason === error.reason);
  const reason = error.code === "EBUSY" && known === undefined ? "another-producer" : known;
  return reason === "none" ? undefined : reason;
}

const NOTHING: Changed = { keep() {}, undo() {} };
