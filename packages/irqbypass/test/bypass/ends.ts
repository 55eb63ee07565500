/**
 * Producers and consumers whose callbacks write down that they were called and do what a test tells them to.
 */
import {
  type AddCallback,
  type ConsumerOps,
  Eventfd,
  type Host,
  IrqBypassError,
  type Kind,
  type ProducerOps,
  type Refusal,
} from "irqbypass";
import { Consumer, Producer } from "#src/host/layout.js";
import { smallHost } from "../support/host.js";

export const PRODUCER_CALLBACKS = ["stop", "addConsumer", "delConsumer", "start"] as const;
export const CONSUMER_CALLBACKS = ["stop", "addProducer", "delProducer", "start"] as const;

/** Names of callbacks as the logs have them: "prod.stop", "cons.addProducer". */
export type CallbackName =
  | `prod.${(typeof PRODUCER_CALLBACKS)[number]}`
  | `cons.${(typeof CONSUMER_CALLBACKS)[number]}`;

/** What a callback does beside writing itself down. */
export type Behaviour = (producer: number, consumer: number) => Refusal | undefined;

/** Kinds of ends: `full` has every callback, `plain` as few as allowed, `lacking-*` too few. */
export const PRODUCER_KINDS = ["full", "plain"] as const;
export const CONSUMER_KINDS = ["full", "plain", "lacking-add", "lacking-del"] as const;

export class Ends {
  readonly host: Host;
  /** Every callback since the last `takeLog`, as "prod.stop P1 C2". */
  private log: string[] = [];
  private readonly behaviours = new Map<CallbackName, Behaviour>();
  private readonly names = new Map<number, string>();

  constructor() {
    const kinds: Kind[] = [
      { name: "full", producer: this.producerOps(), consumer: this.consumerOps() },
      { name: "plain", consumer: this.pick(["addProducer", "delProducer"]) },
      { name: "lacking-add", consumer: this.pick(["stop", "delProducer", "start"]) },
      { name: "lacking-del", consumer: this.pick(["stop", "addProducer", "start"]) },
    ];
    this.host = smallHost({ kinds });
  }

  /** A new producer record, called "P1" and so on in the log. */
  producer(kind: (typeof PRODUCER_KINDS)[number] = "full"): number {
    const { pools, words } = this.host;
    const record = pools.producer.allocate();
    words.set(record + Producer.kind, this.kindNumber(kind));
    this.names.set(record, `P${pools.producer.slot(record) + 1}`);
    return record;
  }

  consumer(kind: (typeof CONSUMER_KINDS)[number] = "full"): number {
    const { pools, words } = this.host;
    const record = pools.consumer.allocate();
    words.set(record + Consumer.kind, this.kindNumber(kind));
    this.names.set(record, `C${pools.consumer.slot(record) + 1}`);
    return record;
  }

  /** Record of a new eventfd. */
  eventfd(): number {
    return Eventfd.create(this.host).record;
  }

  /** From now on the callback does this as well. */
  on(name: CallbackName, behaviour: Behaviour): void {
    this.behaviours.set(name, behaviour);
  }

  /** From now on callbacks do nothing but write themselves down. */
  calm(): void {
    this.behaviours.clear();
  }

  takeLog(): string[] {
    const log = this.log;
    this.log = [];
    return log;
  }

  /** What a producer's record says: eventfd and partner, 0 for none. */
  stateOfProducer(producer: number): { eventfd: number; partner: number } {
    const { words } = this.host;
    return {
      eventfd: words.get(producer + Producer.eventfd),
      partner: words.get(producer + Producer.consumer),
    };
  }

  stateOfConsumer(consumer: number): { eventfd: number; partner: number } {
    const { words } = this.host;
    return {
      eventfd: words.get(consumer + Consumer.eventfd),
      partner: words.get(consumer + Consumer.producer),
    };
  }

  nameOf(record: number): string {
    return this.names.get(record) ?? `?${record}`;
  }

  private kindNumber(name: string): number {
    return this.host.kinds.findIndex((kind) => kind.name === name);
  }

  private called(name: CallbackName): AddCallback {
    return (_memory, producer, consumer) => {
      this.log.push(`${name} ${this.nameOf(producer)} ${this.nameOf(consumer)}`);
      return this.behaviours.get(name)?.(producer, consumer);
    };
  }

  private producerOps(): ProducerOps {
    return Object.fromEntries(PRODUCER_CALLBACKS.map((name) => [name, this.called(`prod.${name}`)]));
  }

  private consumerOps(): ConsumerOps {
    return this.pick(CONSUMER_CALLBACKS);
  }

  private pick(names: readonly (typeof CONSUMER_CALLBACKS)[number][]): ConsumerOps {
    return Object.fromEntries(names.map((name) => [name, this.called(`cons.${name}`)]));
  }
}

/** What an operation comes to: "ok", or what its error says. */
export type Outcome = "ok" | { code: string; side?: string; reason?: string };

export function outcome(operation: () => void): Outcome {
  try {
    operation();
    return "ok";
  } catch (error) {
    if (!(error instanceof IrqBypassError)) throw error;
    const { code, side, reason } = error;
    return { code, ...(side === undefined ? {} : { side }), ...(reason === undefined ? {} : { reason }) };
  }
}
