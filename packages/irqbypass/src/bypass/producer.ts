import type { EventfdContext } from "../eventfd/context.js";
import { checkEventfd } from "../eventfd/context.js";
import { dropContext, holdContext } from "../eventfd/reference.js";
import { checkWord, show } from "../host/argument.js";
import { IrqBypassError } from "../host/errors.js";
import { Producer as P } from "../host/layout.js";
import { checkHost } from "../host/memory.js";
import { Shown } from "../host/shown.js";
import { nearest } from "../host/spelling.js";
import { signal } from "../posting/fast-path.js";
import { Mode, modeOf } from "../posting/irte.js";
import type { Reason } from "../posting/reason.js";

import type { BypassHost } from "./bypass-host.js";
import { signalElsewhere } from "./elsewhere.js";
import { type Path, pathOf, reasonOfProducer } from "./path.js";

/** The number of the kind of this name, 0 for none. Throws EINVAL for a kind that the host does not have. */
export function producerKind({ kinds }: BypassHost, kind: string | undefined): number {
  const number = kind === undefined ? 0 : kinds.findIndex(({ name }) => name === kind);
  if (number >= 0) return number;
  const names = kinds.map(({ name }) => name);
  const meant = typeof kind === "string" ? `: did you mean ${nearest(kind, names)}, or` : ":";
  throw new IrqBypassError(
    "EINVAL",
    `this host has no kind ${show(kind)}${meant} name it in Host.create({ kinds })`,
  );
}

/**
 * A device interrupt: one end of a bypass, and the thing that signals. It belongs to the thread that registers it;
 * only that thread may call `signal`.
 */
export class Producer extends Shown implements Disposable {
  private readonly host: BypassHost;
  /** @internal */
  readonly record: number;
  /** The eventfd it is registered under. */
  private eventfd: EventfdContext | undefined;
  private disposed = false;

  private constructor(host: BypassHost, record: number) {
    super();
    this.host = host;
    this.record = record;
  }

  /**
   * A producer that is not registered yet. `kind` names one of the host's kinds that has producer operations; most
   * devices need none. Throws ENOMEM when the host is full, EINVAL for a kind that it does not have.
   *
   * @example
   * ```ts
   * import { Eventfd, Host, Producer } from "irqbypass";
   *
   * const host = Host.create();
   * using producer = Producer.create(host);
   * producer.register(Eventfd.create(host), 7);
   * producer.signal();
   * console.log(producer.path, producer.reason); // relayed no-consumer
   * ```
   */
  static create(host: BypassHost, kind?: string): Producer {
    checkHost(host);
    const number = producerKind(host, kind);
    return host.mutex.guard(() => {
      const record = host.pools.producer.allocate();
      host.words.set(record + P.kind, number);
      host.words.set(record + P.owner, host.thread.record); // last: without an owner it is half made
      return new Producer(host, record);
    });
  }

  /**
   * Registers under `eventfd` (irq_bypass_register_producer); EBUSY where it has a producer already, EINVAL where this
   * one is registered, and what the other end refuses with.
   * `irq` is the device's own number for the interrupt, shown in tables. The producer keeps the context alive, but it
   * signals through this handle: keep it open.
   */
  register(eventfd: EventfdContext, irq = -1): void {
    this.checkChange();
    checkEventfd(this.host, eventfd, "a producer signals");
    checkWord(irq, "irq");
    if (this.eventfd === undefined) this.hold(eventfd.record);
    try {
      this.host.manager.registerProducer(this.record, eventfd.record, irq);
    } catch (error) {
      if (this.eventfd === undefined) this.letGo();
      throw error;
    }
    this.eventfd = eventfd;
  }

  /** Moves to another eventfd in one operation; a refusal is thrown and leaves it where it was. */
  move(eventfd: EventfdContext): void {
    const { host, record } = this;
    this.checkChange();
    checkEventfd(host, eventfd, "a producer signals");
    const { words } = host;
    let close: (() => void) | undefined;
    host.manager.moveProducer(record, eventfd.record, () => {
      const old = words.load(record + P.holds);
      holdContext(host, eventfd.record);
      words.store(record + P.holds, eventfd.record);
      close = dropContext(host, old);
    });
    this.eventfd = eventfd;
    close?.();
  }

  /** Disconnects and unregisters; nothing happens if it is not registered (irq_bypass_unregister_producer). */
  unregister(): void {
    if (this.eventfd === undefined) return;
    this.host.checkChange();
    this.host.manager.unregisterProducer(this.record);
    this.eventfd = undefined;
    this.letGo();
  }

  /**
   * The interrupt fires. Where it is bypassed it goes straight into the vCPU: no message, no event loop and, into a
   * software vCPU, no system call. Otherwise it signals the eventfd. Waits for nobody. Throws EINVAL if the producer
   * is not registered.
   */
  signal(): void {
    if (this.eventfd === undefined) throw this.notRegistered();
    const { host, record } = this;
    const irte = signal(host, host.thread.signalling, record, host.pools.vcpu.base);
    if (modeOf(irte) !== Mode.posted) signalElsewhere(host, irte, this.eventfd.record, this.eventfd);
  }

  /** False after it was disposed. */
  get registered(): boolean {
    return this.eventfd !== undefined;
  }

  /** Which way a signal would go now. Throws EBADF after it was disposed. */
  get path(): Path {
    this.check();
    return this.host.look(() => pathOf(this.host, this.record));
  }

  /**
   * Why it would not be bypassed, the worst reason, which is the irqfd's own word where there is one; undefined while it would. Of a relay
   * that does not run only the irqfd tells. Throws EBADF after it was disposed.
   */
  get reason(): Reason | undefined {
    this.check();
    return this.host.look(() => reasonOfProducer(this.host, this.record));
  }

  /** Unregisters, and gives the record back. */
  dispose(): void {
    if (this.disposed) return;
    this.host.checkChange();
    this.unregister();
    this.disposed = true;
    this.host.mutex.guard(() => this.host.pools.producer.release(this.record));
  }

  /** As {@link dispose}. */
  [Symbol.dispose](): void {
    this.dispose();
  }

  /** @internal Takes it back with its register, as if it had never been made: for a call of which it was a part, and that is refused. */
  undo(): void {
    const { host, record } = this;
    host.manager.unregisterProducer(record, true);
    if (this.eventfd !== undefined) this.letGo();
    this.eventfd = undefined;
    this.disposed = true;
    host.mutex.guard(() => host.pools.producer.undo(record));
  }

  /** @internal */
  protected describe(): object {
    const { path, reason } = this;
    return { eventfd: this.eventfd?.id ?? null, path, reason };
  }

  private hold(eventfd: number): void {
    const { host, record } = this;
    host.mutex.guard(() => {
      holdContext(host, eventfd);
      host.words.store(record + P.holds, eventfd);
    });
  }

  private letGo(): void {
    const { host, record } = this;
    const close = host.mutex.guard(() => {
      const eventfd = host.words.load(record + P.holds);
      host.words.store(record + P.holds, 0);
      return dropContext(host, eventfd);
    });
    close?.();
  }

  /** Before a call that waits for signals that are under way. */
  private checkChange(): void {
    this.host.checkChange();
    this.check();
  }

  private check(): void {
    this.host.checkAttached();
    if (this.disposed) throw new IrqBypassError("EBADF", "this producer was disposed: create another one");
  }

  private notRegistered(): IrqBypassError {
    this.check();
    return new IrqBypassError("EINVAL", "this producer signals no eventfd: register it first");
  }
}
