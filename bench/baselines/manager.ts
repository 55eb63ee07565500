import type { Host } from "irqbypass";
import { Callbacks } from "irqbypass/internal/bypass/callbacks.js";
import { Consumer, Header, Producer, Rec } from "irqbypass/internal/host/layout.js";
import type { Index } from "./index.js";
import { ListIndex } from "./list-index.js";
import { MapIndex } from "./map-index.js";

/** What the suites ask of a manager; `Manager` has it too. */
export interface Registry {
  registerConsumer(consumer: number, eventfd: number): void;
  registerProducer(producer: number, eventfd: number, irq: number): void;
  unregisterConsumer(consumer: number): void;
  unregisterProducer(producer: number): void;
}

/** Words that the layout leaves free, on the line that a search reads anyway. */
const PRODUCER_LINK = { key: Producer.holds, next: 10, previous: 11 };
const CONSUMER_LINK = { key: Consumer.holds, next: 13, previous: 14 };

/**
 * A manager for comparison: the same memory, mutex, records, checks and callbacks as the library's, with another index
 * in the place of the xarray. What it leaves out is rollback and the fence, which these runs never come to.
 */
export class BaselineManager implements Registry {
  private readonly callbacks: Callbacks;

  constructor(
    private readonly host: Host,
    private readonly producers: Index,
    private readonly consumers: Index,
  ) {
    this.callbacks = new Callbacks(host, host.kinds);
  }

  /** On two linked lists, as before the series. `heads` is a record with two free words after its first two. */
  static onLists(host: Host, heads: number): BaselineManager {
    const { words } = host;
    return new BaselineManager(
      host,
      new ListIndex(words, heads + 2, PRODUCER_LINK),
      new ListIndex(words, heads + 3, CONSUMER_LINK),
    );
  }

  static onMaps(host: Host): BaselineManager {
    return new BaselineManager(host, new MapIndex(), new MapIndex());
  }

  registerProducer(producer: number, eventfd: number, irq: number): void {
    const { words, thread, mutex } = this.host;
    mutex.guard(() => {
      if (words.get(producer + Producer.eventfd) !== 0) throw new Error("registered already");
      this.checkEventfd(eventfd);
      words.set(producer + Producer.irq, irq);
      words.set(producer + Producer.owner, thread.record);
      if (this.producers.insert(eventfd, producer) !== 0) throw new Error("busy");
      const consumer = this.consumers.load(eventfd);
      if (consumer !== 0) this.connect(producer, consumer);
      words.set(producer + Producer.since, words.load(Header.ticks));
      words.set(producer + Producer.eventfd, eventfd);
    });
  }

  registerConsumer(consumer: number, eventfd: number): void {
    const { words, mutex } = this.host;
    mutex.guard(() => {
      if (words.get(consumer + Consumer.eventfd) !== 0) throw new Error("registered already");
      this.checkEventfd(eventfd);
      if (this.consumers.insert(eventfd, consumer) !== 0) throw new Error("busy");
      const producer = this.producers.load(eventfd);
      if (producer !== 0) this.connect(producer, consumer);
      words.set(consumer + Consumer.since, words.load(Header.ticks));
      words.set(consumer + Consumer.eventfd, eventfd);
    });
  }

  unregisterProducer(producer: number): void {
    const { words, mutex } = this.host;
    mutex.guard(() => {
      const eventfd = words.get(producer + Producer.eventfd);
      if (eventfd === 0) return;
      const consumer = words.get(producer + Producer.consumer);
      if (consumer !== 0) this.disconnect(producer, consumer);
      this.producers.erase(eventfd);
      words.set(producer + Producer.eventfd, 0);
    });
  }

  unregisterConsumer(consumer: number): void {
    const { words, mutex } = this.host;
    mutex.guard(() => {
      const eventfd = words.get(consumer + Consumer.eventfd);
      if (eventfd === 0) return;
      const producer = words.get(consumer + Consumer.producer);
      if (producer !== 0) this.disconnect(producer, consumer);
      this.consumers.erase(eventfd);
      words.set(consumer + Consumer.eventfd, 0);
    });
  }

  /** Registers without looking for a second one of either, for setting up. */
  fillConsumer(consumer: number, eventfd: number): void {
    this.host.words.set(consumer + Consumer.eventfd, eventfd);
    this.consumers.fill(eventfd, consumer);
  }

  /** The same for a producer whose consumer is there. */
  fillProducer(producer: number, consumer: number, eventfd: number): void {
    this.host.words.set(producer + Producer.eventfd, eventfd);
    this.producers.fill(eventfd, producer);
    this.connect(producer, consumer);
  }

  private connect(producer: number, consumer: number): void {
    const { callbacks } = this;
    const prod = callbacks.producer(producer);
    const cons = callbacks.consumer(consumer);
    callbacks.run(prod.stop, "stop", producer, consumer);
    callbacks.run(cons.stop, "stop", producer, consumer);
    callbacks.attempt(prod.addConsumer, "producer", producer, consumer);
    callbacks.attempt(cons.addProducer, "consumer", producer, consumer);
    callbacks.run(cons.start, "start", producer, consumer);
    callbacks.run(prod.start, "start", producer, consumer);
    this.bind(producer, consumer, consumer, producer);
  }

  private disconnect(producer: number, consumer: number): void {
    const { callbacks } = this;
    const prod = callbacks.producer(producer);
    const cons = callbacks.consumer(consumer);
    callbacks.run(prod.stop, "stop", producer, consumer);
    callbacks.run(cons.stop, "stop", producer, consumer);
    callbacks.run(cons.delProducer, "delProducer", producer, consumer);
    callbacks.run(prod.delConsumer, "delConsumer", producer, consumer);
    callbacks.run(cons.start, "start", producer, consumer);
    callbacks.run(prod.start, "start", producer, consumer);
    this.bind(producer, consumer, 0, 0);
  }

  private bind(producer: number, consumer: number, itsConsumer: number, itsProducer: number): void {
    const { words } = this.host;
    words.set(producer + Producer.consumer, itsConsumer);
    words.set(consumer + Consumer.producer, itsProducer);
  }

  private checkEventfd(eventfd: number): void {
    if (eventfd === 0 || (this.host.words.get(eventfd + Rec.generation) & 1) === 0)
      throw new Error("no eventfd");
  }
}
