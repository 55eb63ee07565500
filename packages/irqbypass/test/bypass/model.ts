/**
 * The manager as plain maps and sentences: what any operation returns, whom it calls, and what is left.
 * Written from the kernel's contract, not from the code under test.
 */
import type { CallbackName, CONSUMER_KINDS, Outcome, PRODUCER_KINDS } from "./ends.js";

export type ProducerKind = (typeof PRODUCER_KINDS)[number];
export type ConsumerKind = (typeof CONSUMER_KINDS)[number];

/** What a callback does: refuse, throw, or call the manager and let the error out. */
export type Misdeed = "refuse" | "throw" | "re-enter";

/** Which callbacks misbehave during one operation; each for the first `times` calls of it. */
export interface Plan {
  readonly name: CallbackName;
  readonly misdeed: Misdeed;
  readonly times: number;
}

/** Counts a plan down, for the model and for the real callbacks alike. */
export class Script {
  private readonly left: Map<CallbackName, { misdeed: Misdeed; times: number }>;

  constructor(plans: readonly Plan[]) {
    this.left = new Map(plans.map(({ name, misdeed, times }) => [name, { misdeed, times }]));
  }

  next(name: CallbackName): Misdeed | undefined {
    const plan = this.left.get(name);
    if (plan === undefined || plan.times === 0) return undefined;
    plan.times -= 1;
    return plan.misdeed;
  }
}

interface End {
  readonly name: string;
  readonly kind: string;
  eventfd: number | undefined;
  partner: End | undefined;
}

interface Failure {
  readonly side: "producer" | "consumer";
  readonly code: string;
  readonly reason: string;
}

const FULL: readonly CallbackName[] = [
  "prod.stop",
  "prod.addConsumer",
  "prod.delConsumer",
  "prod.start",
  "cons.stop",
  "cons.addProducer",
  "cons.delProducer",
  "cons.start",
];
const PLAIN: readonly CallbackName[] = ["cons.addProducer", "cons.delProducer"];

export class Model {
  readonly producers: readonly End[];
  readonly consumers: readonly End[];
  readonly producerAt = new Map<number, End>();
  readonly consumerAt = new Map<number, End>();
  log: string[] = [];
  /** Errors of callbacks that could refuse nothing. */
  faults = 0;
  /** Connects that were refused. */
  refusals = 0;
  private script = new Script([]);

  constructor(producers: readonly ProducerKind[], consumers: readonly ConsumerKind[]) {
    const end = (letter: string) => (kind: string, number: number) => ({
      name: `${letter}${number + 1}`,
      kind,
      eventfd: undefined,
      partner: undefined,
    });
    this.producers = producers.map(end("P"));
    this.consumers = consumers.map(end("C"));
  }

  /** Runs one operation while callbacks misbehave as planned. */
  during(plans: readonly Plan[], operation: () => Outcome): Outcome {
    this.script = new Script(plans);
    this.log = [];
    this.faults = 0;
    this.refusals = 0;
    return operation();
  }

  registerProducer(producer: End, eventfd: number | undefined): Outcome {
    if (producer.eventfd !== undefined || eventfd === undefined) return { code: "EINVAL", side: "producer" };
    if (this.producerAt.has(eventfd)) return { code: "EBUSY", side: "producer" };
    const failed = this.meet(producer, this.consumerAt.get(eventfd));
    if (failed !== undefined) return { ...failed };
    this.producerAt.set(eventfd, producer);
    producer.eventfd = eventfd;
    return "ok";
  }

  registerConsumer(consumer: End, eventfd: number | undefined): Outcome {
    if (consumer.eventfd !== undefined || eventfd === undefined) return { code: "EINVAL", side: "consumer" };
    if (consumer.kind.startsWith("lacking")) return { code: "EINVAL", side: "consumer" };
    if (this.consumerAt.has(eventfd)) return { code: "EBUSY", side: "consumer" };
    const failed = this.meet(this.producerAt.get(eventfd), consumer);
    if (failed !== undefined) return { ...failed };
    this.consumerAt.set(eventfd, consumer);
    consumer.eventfd = eventfd;
    return "ok";
  }

  unregisterProducer(producer: End): Outcome {
    if (producer.eventfd === undefined) return "ok";
    if (producer.partner !== undefined) this.disconnect(producer, producer.partner);
    this.producerAt.delete(producer.eventfd);
    producer.eventfd = undefined;
    return "ok";
  }

  unregisterConsumer(consumer: End): Outcome {
    if (consumer.eventfd === undefined) return "ok";
    if (consumer.partner !== undefined) this.disconnect(consumer.partner, consumer);
    this.consumerAt.delete(consumer.eventfd);
    consumer.eventfd = undefined;
    return "ok";
  }

  move(producer: End, eventfd: number | undefined): Outcome {
    const from = producer.eventfd;
    if (from === undefined || eventfd === undefined) return { code: "EINVAL", side: "producer" };
    if (eventfd === from) return "ok";
    if (this.producerAt.has(eventfd)) return { code: "EBUSY", side: "producer" };
    const old = producer.partner;
    if (old !== undefined) this.disconnect(producer, old);
    const failed = this.meet(producer, this.consumerAt.get(eventfd));
    if (failed !== undefined) {
      this.meet(producer, old); // if that is refused as well, it stays where it was, alone
      return { ...failed };
    }
    this.producerAt.delete(from);
    this.producerAt.set(eventfd, producer);
    producer.eventfd = eventfd;
    return "ok";
  }

  private meet(producer: End | undefined, consumer: End | undefined): Failure | undefined {
    if (producer === undefined || consumer === undefined) return undefined;
    const call = (name: CallbackName) => this.call(name, producer, consumer);
    call("prod.stop");
    call("cons.stop");
    let failed = call("prod.addConsumer");
    if (failed === undefined) {
      failed = call("cons.addProducer");
      if (failed !== undefined) call("prod.delConsumer");
    }
    call("cons.start");
    call("prod.start");
    if (failed === undefined) {
      producer.partner = consumer;
      consumer.partner = producer;
    } else {
      this.refusals += 1;
    }
    return failed;
  }

  private disconnect(producer: End, consumer: End): void {
    const order = [
      "prod.stop",
      "cons.stop",
      "cons.delProducer",
      "prod.delConsumer",
      "cons.start",
      "prod.start",
    ];
    for (const name of order) this.call(name as CallbackName, producer, consumer);
    producer.partner = undefined;
    consumer.partner = undefined;
  }

  private call(name: CallbackName, producer: End, consumer: End): Failure | undefined {
    const side = name.startsWith("prod.") ? "producer" : "consumer";
    const { kind } = side === "producer" ? producer : consumer;
    const has = kind === "full" ? FULL : side === "consumer" ? PLAIN : [];
    if (!has.includes(name)) return undefined;
    this.log.push(`${name} ${producer.name} ${consumer.name}`);
    const misdeed = this.script.next(name);
    if (misdeed === undefined) return undefined;
    if (name === "prod.addConsumer" || name === "cons.addProducer") {
      if (misdeed === "refuse") return { side, code: "ENODEV", reason: "delivery-mode" };
      return { side, code: misdeed === "throw" ? "EIO" : "EDEADLK", reason: "refused" };
    }
    if (misdeed !== "refuse") this.faults += 1; // what such a callback returns means nothing
    return undefined;
  }
}
