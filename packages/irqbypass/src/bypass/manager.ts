/**
 * The irqbypass manager: lets a producer (a device interrupt that signals an eventfd) and a consumer (an irqfd
 * that listens to one) find each other, so that the interrupt can go straight into the virtual CPU.
 *
 * Theory of operation. Both ends register with the manager under the eventfd they use, in either order. There is
 * at most one producer and one consumer for an eventfd; a second one of either is refused with EBUSY. When the
 * second end arrives, the two are connected by their callbacks:
 *
 *     connect       prod.stop, cons.stop, prod.addConsumer, cons.addProducer, cons.start, prod.start
 *     disconnect    prod.stop, cons.stop, cons.delProducer, prod.delConsumer, cons.start, prod.start
 *
 * Either add callback may refuse. If the second does, the first is undone; both are started again in any case, and
 * the end that arrived last is not registered. Deleting cannot fail. The partner is recorded in both ends after a
 * connect that succeeded, and unregistering disconnects from *that* partner, without a look at the index.
 *
 * Each of register and unregister is tried first as one compiled function (`registration.ts`), which does what stands here
 * if there is no callback of others to call, nothing to allocate and nothing to refuse.
 *
 * What registered means: the record's eventfd is not 0. It is set last and cleared last.
 *
 * As virt/lib/irqbypass.c (v6.17), with these differences, on purpose: an absent eventfd is EINVAL; a failed
 * connect says which side refused and why; calling the manager from a callback is EDEADLK, not a deadlock; a
 * callback may throw, which refuses the connection in an add callback and is kept in `callbacks.faults` in the others.
 */
import { isOf } from "../host/argument.js";
import { broken, IrqBypassError } from "../host/errors.js";
import { Consumer, Header, Producer, Rec, Thread } from "../host/layout.js";
import type { HostMemory } from "../host/memory.js";
import { Tried } from "../host/mutex.js";
import { XArray } from "../host/xarray.js";
import { relayed, UNCONNECTED } from "../posting/irte.js";
import { reasonCode } from "../posting/reason.js";
import { Callbacks, type FailedConnect } from "./callbacks.js";
import { begin, bind, end } from "./connection.js";
import { FastPath } from "./fast-path.js";
import type { Kind } from "./kind.js";

export class Manager {
  readonly callbacks: Callbacks;
  private readonly fast: FastPath;
  private readonly producers: XArray;
  private readonly consumers: XArray;

  constructor(
    private readonly memory: HostMemory,
    kinds: readonly Kind[],
  ) {
    this.callbacks = new Callbacks(memory, kinds);
    this.fast = new FastPath(memory, kinds);
    this.producers = new XArray(memory.words, Header.producers, memory.pools.node);
    this.consumers = new XArray(memory.words, Header.consumers, memory.pools.node);
  }

  /**
   * Registers a producer record under an eventfd record, which the caller keeps alive until after unregister, and
   * connects it if a consumer waits there. `irq` is the device's own number for it. The thread of the record `owner` becomes the
   * one that may signal it, if left out the calling one.
   *
   * Throws EINVAL (registered already, no eventfd), EBUSY (the eventfd has a producer), ENOMEM, EDEADLK (called from a
   * callback), or what the refusing callback said, with `side`; nothing stays registered then. Blocks for the host mutex only.
   */
  registerProducer(
    producer: number,
    eventfd: number,
    irq: number,
    owner: number = this.memory.thread.record,
  ): void {
    const tried = this.fast.registerProducer(producer, eventfd, irq, owner);
    if (tried < 0) this.memory.mutex.guard(() => this.addProducer(producer, eventfd, irq, owner), tried);
  }

  /** The mirror image for a consumer. EINVAL also where its kind lacks addProducer or delProducer. */
  registerConsumer(consumer: number, eventfd: number): void {
    const tried = this.fast.registerConsumer(consumer, eventfd);
    if (tried < 0) this.memory.mutex.guard(() => this.addConsumer(consumer, eventfd), tried);
  }

  /**
   * Disconnects and unregisters a producer; does nothing if it is not registered. When it has returned, no signal
   * of this producer, not even one in flight, sets anything in the old target any more. With `undo` it takes a register back
   * that was part of a call that is refused.
   */
  unregisterProducer(producer: number, undo = false): void {
    let owner = undo ? Tried.not : this.fast.unregisterProducer(producer);
    if (owner < 0) owner = this.memory.mutex.guard(() => this.removeProducer(producer, undo), owner);
    if (owner !== 0) this.fence(producer, owner);
  }

  /** The mirror image for a consumer. */
  unregisterConsumer(consumer: number, undo = false): void {
    const { words, mutex, thread } = this.memory;
    const tried = undo ? Tried.not : this.fast.unregisterConsumer(consumer);
    if (tried === 1) thread.quiesce();
    if (tried >= 0) return;
    let producer = 0;
    let owner = 0;
    const registered = mutex.guard(() => {
      producer = words.get(consumer + Consumer.producer);
      if (producer !== 0) owner = words.get(producer + Producer.owner);
      return this.removeConsumer(consumer, undo);
    }, tried);
    if (owner !== 0) this.fence(producer, owner);
    // Its producer may just have been unregistered by another thread, whose fence is not through: nothing names it here.
    else if (registered) thread.quiesce();
  }

  /**
   * Moves a registered producer to another eventfd in one operation. If the new place refuses it, it is back at the
   * old one before anybody else can see it gone, and the refusal is thrown. `moved` is called in the end, under the host mutex.
   */
  moveProducer(producer: number, eventfd: number, moved: () => void = () => {}): void {
    const owner = this.memory.mutex.guard(() => {
      const thread = this.replaceEventfd(producer, eventfd);
      moved();
      return thread;
    });
    this.fence(producer, owner);
  }

  /** The producer registered under an eventfd, or 0. Under the host mutex. */
  producerAt(eventfd: number): number {
    return this.producers.load(this.index(eventfd));
  }

  /** The consumer registered under an eventfd, or 0. Under the host mutex. */
  consumerAt(eventfd: number): number {
    return this.consumers.load(this.index(eventfd));
  }

  /** Waits until no signal of `producer` that began before is under way. Not under the host mutex. */
  fence(producer: number, owner: number): void {
    const { thread } = this.memory;
    if (owner !== thread.record) thread.fence(owner + Thread.signalling, producer);
  }

  private addProducer(producer: number, eventfd: number, irq: number, owner: number): void {
    const { words } = this.memory;
    if (words.get(producer + Producer.eventfd) !== 0)
      throw this.refusal("EINVAL", "producer", producer, ALREADY);
    this.checkEventfd(eventfd, "producer", producer);
    const index = this.index(eventfd);
    const before = [words.get(producer + Producer.irq), words.get(producer + Producer.owner)] as const;
    if (this.producers.insert(index, producer) !== 0) {
      throw this.refusal(
        "EBUSY",
        "producer",
        producer,
        `cannot register: eventfd ${index} has a producer already`,
      );
    }
    words.set(producer + Producer.irq, irq);
    words.set(producer + Producer.owner, owner);
    // A read where a write would change nothing: it is the costliest word here.
    if (words.load(producer + Producer.irte) !== UNCONNECTED)
      words.store(producer + Producer.irte, UNCONNECTED);
    const consumer = this.consumers.load(index);
    if (consumer !== 0) {
      const failed = this.connect(producer, consumer);
      if (failed !== undefined) {
        this.erase(this.producers, index, producer, true);
        this.refused(producer, consumer, failed);
        words.set(producer + Producer.irq, before[0]);
        words.set(producer + Producer.owner, before[1]);
        end(words);
        throw this.failedConnect("producer", producer, failed);
      }
    }
    if (consumer === 0) words.set(producer + Producer.since, words.load(Header.ticks)); // else `bind` has
    words.set(producer + Producer.eventfd, eventfd);
    if (consumer !== 0) end(words);
  }

  private addConsumer(consumer: number, eventfd: number): void {
    const { words } = this.memory;
    if (words.get(consumer + Consumer.eventfd) !== 0)
      throw this.refusal("EINVAL", "consumer", consumer, ALREADY);
    this.checkEventfd(eventfd, "consumer", consumer);
    const { addProducer, delProducer } = this.callbacks.consumer(consumer);
    if (addProducer === undefined || delProducer === undefined) {
      throw this.refusal(
        "EINVAL",
        "consumer",
        consumer,
        "cannot register: its kind lacks addProducer or delProducer",
      );
    }
    const index = this.index(eventfd);
    if (this.consumers.insert(index, consumer) !== 0) {
      throw this.refusal(
        "EBUSY",
        "consumer",
        consumer,
        `cannot register: eventfd ${index} has a consumer already`,
      );
    }
    words.set(consumer + Consumer.refusal, 0);
    const producer = this.producers.load(index);
    if (producer !== 0) {
      const failed = this.connect(producer, consumer);
      if (failed !== undefined) {
        this.erase(this.consumers, index, consumer, true);
        this.refused(producer, consumer, failed);
        end(words);
        throw this.failedConnect("consumer", consumer, failed);
      }
    }
    if (producer === 0) words.set(consumer + Consumer.since, words.load(Header.ticks)); // else `bind` has
    words.set(consumer + Consumer.eventfd, eventfd);
    if (producer !== 0) end(words);
  }

  /** Returns the thread to fence, 0 if the producer was not registered. */
  private removeProducer(producer: number, undo: boolean): number {
    const { words } = this.memory;
    const eventfd = words.get(producer + Producer.eventfd);
    if (eventfd === 0) return 0;
    const consumer = words.get(producer + Producer.consumer);
    if (consumer !== 0) this.disconnect(producer, consumer);
    this.erase(this.producers, this.index(eventfd), producer, undo);
    words.set(producer + Producer.eventfd, 0);
    if (consumer !== 0) end(words);
    return words.get(producer + Producer.owner);
  }

  /** Returns whether the consumer was registered. */
  private removeConsumer(consumer: number, undo: boolean): boolean {
    const { words } = this.memory;
    const eventfd = words.get(consumer + Consumer.eventfd);
    if (eventfd === 0) return false;
    const producer = words.get(consumer + Consumer.producer);
    if (producer !== 0) this.disconnect(producer, consumer);
    this.erase(this.consumers, this.index(eventfd), consumer, undo);
    words.set(consumer + Consumer.eventfd, 0);
    if (producer !== 0) end(words);
    return true;
  }

  /** Returns the thread to fence. */
  private replaceEventfd(producer: number, eventfd: number): number {
    const { words } = this.memory;
    const old = words.get(producer + Producer.eventfd);
    const owner = words.get(producer + Producer.owner);
    if (old === 0) throw this.refusal("EINVAL", "producer", producer, "is not registered: register it first");
    this.checkEventfd(eventfd, "producer", producer);
    if (eventfd === old) return owner;
    const index = this.index(eventfd);
    if (this.producers.insert(index, producer) !== 0) {
      throw this.refusal(
        "EBUSY",
        "producer",
        producer,
        `cannot move: eventfd ${index} has a producer already`,
      );
    }
    const before = words.get(producer + Producer.consumer);
    const entry = words.load(producer + Producer.irte);
    if (before !== 0) this.disconnect(producer, before);
    words.store(producer + Producer.irte, UNCONNECTED); // not what an end at the old place said
    const after = this.consumers.load(index);
    const failed = after === 0 ? undefined : this.connect(producer, after);
    if (failed !== undefined) {
      this.erase(this.producers, index, producer, true);
      this.refused(producer, after, failed);
      words.store(producer + Producer.irte, before === 0 ? entry : UNCONNECTED);
      const again = before === 0 ? undefined : this.connect(producer, before);
      if (again !== undefined) this.refused(producer, before, again);
      end(words);
      throw this.failedConnect("producer", producer, failed);
    }
    this.erase(this.producers, this.index(old), producer);
    words.set(producer + Producer.eventfd, eventfd);
    end(words);
    return owner;
  }

  /** Connects the two, or says who refused; a refused attempt leaves both as they were. */
  private connect(producer: number, consumer: number): FailedConnect | undefined {
    const { callbacks } = this;
    const { words } = this.memory;
    begin(words, producer, consumer);
    const prod = callbacks.producer(producer);
    const cons = callbacks.consumer(consumer);
    callbacks.run(prod.stop, "producer stop", producer, consumer);
    callbacks.run(cons.stop, "consumer stop", producer, consumer);
    let failed = callbacks.attempt(prod.addConsumer, "producer", producer, consumer);
    if (failed === undefined) {
      failed = callbacks.attempt(cons.addProducer, "consumer", producer, consumer);
      if (failed !== undefined) callbacks.run(prod.delConsumer, "producer delConsumer", producer, consumer);
    }
    callbacks.run(cons.start, "consumer start", producer, consumer);
    callbacks.run(prod.start, "producer start", producer, consumer);
    if (failed === undefined) {
      words.set(consumer + Consumer.refusal, 0);
      this.bind(producer, consumer, consumer, producer);
    }
    return failed;
  }

  private disconnect(producer: number, consumer: number): void {
    const { callbacks } = this;
    const { words } = this.memory;
    begin(words, producer, consumer);
    const prod = callbacks.producer(producer);
    const cons = callbacks.consumer(consumer);
    callbacks.run(prod.stop, "producer stop", producer, consumer);
    callbacks.run(cons.stop, "consumer stop", producer, consumer);
    callbacks.run(cons.delProducer, "consumer delProducer", producer, consumer);
    callbacks.run(prod.delConsumer, "producer delConsumer", producer, consumer);
    callbacks.run(cons.start, "consumer start", producer, consumer);
    callbacks.run(prod.start, "producer start", producer, consumer);
    this.bind(producer, consumer, 0, 0);
  }

  /**
   * Ends the connection that a thread was making or undoing when it died: as a disconnect, but for the two stops, which
   * have been called already unless it died just before them. Under the host mutex.
   */
  abandonChange(): void {
    const { callbacks } = this;
    const { words } = this.memory;
    const producer = words.get(Header.changing);
    if (producer === 0) return;
    const consumer = words.get(Header.changingTo);
    const prod = callbacks.producer(producer);
    const cons = callbacks.consumer(consumer);
    callbacks.run(cons.delProducer, "consumer delProducer", producer, consumer);
    callbacks.run(prod.delConsumer, "producer delConsumer", producer, consumer);
    callbacks.run(cons.start, "consumer start", producer, consumer);
    callbacks.run(prod.start, "producer start", producer, consumer);
    this.bind(producer, consumer, 0, 0);
    end(words);
  }

  private bind(producer: number, consumer: number, itsConsumer: number, itsProducer: number): void {
    bind(this.memory.words, producer, consumer, itsConsumer, itsProducer);
  }

  /** A connection was refused that leaves both ends registered: both say why. */
  private refused(producer: number, consumer: number, { refusal }: FailedConnect): void {
    const reason = refusal.reason ?? "refused";
    this.memory.words.store(producer + Producer.irte, relayed(reason));
    this.memory.words.set(consumer + Consumer.refusal, reasonCode(reason));
  }

  /** `undo`: as if the entry had never been there. */
  private erase(array: XArray, index: number, expected: number, undo = false): void {
    if ((undo ? array.undo(index) : array.erase(index)) !== expected)
      broken(`the entry of eventfd ${index} was not the object that was registered`);
  }

  /** The eventfd's small dense number: the key that keeps both trees shallow and full. */
  private index(eventfd: number): number {
    return this.memory.pools.eventfd.slot(eventfd);
  }

  private checkEventfd(eventfd: number, side: "producer" | "consumer", object: number): void {
    if (eventfd === 0 || (this.memory.words.get(eventfd + Rec.generation) & 1) === 0) {
      throw this.refusal("EINVAL", side, object, "cannot register without an eventfd: pass one that is open");
    }
  }

  private refusal(
    code: "EINVAL" | "EBUSY",
    side: "producer" | "consumer",
    object: number,
    sentence: string,
  ): IrqBypassError {
    const subject = this.nameOf(side, object);
    return new IrqBypassError(code, `${subject} ${sentence}`, { subject, side });
  }

  private failedConnect(
    arriving: "producer" | "consumer",
    object: number,
    { side, refusal, error }: FailedConnect,
  ): IrqBypassError {
    const subject = this.nameOf(arriving, object);
    const reason = refusal.reason ?? "refused";
    const why = isOf(error, Error) ? `${reason}): ${error.message}` : `${reason})`;
    return new IrqBypassError(
      refusal.code,
      `${subject} was not registered: the ${side} refused the connection (${why}`,
      { subject, side, reason, ...(error === undefined ? {} : { cause: error }) },
    );
  }

  private nameOf(side: "producer" | "consumer", object: number): string {
    return `${side} ${this.memory.pools[side].slot(object)}`;
  }
}

const ALREADY = "is registered already: unregister it first";
