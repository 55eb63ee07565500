/** The manager against a plain model: random operations on many objects, shrunk to the shortest that differs. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { type CallbackName, CONSUMER_CALLBACKS, Ends, outcome, PRODUCER_CALLBACKS } from "./ends.js";
import { type ConsumerKind, Model, type Plan, type ProducerKind, Script } from "./model.js";

const PRODUCERS: readonly ProducerKind[] = ["full", "full", "plain", "full", "plain", "full"];
const CONSUMERS: readonly ConsumerKind[] = [
  "full",
  "full",
  "plain",
  "full",
  "lacking-add",
  "plain",
  "lacking-del",
];
const EVENTFDS = 3;
const CALLBACKS: readonly CallbackName[] = [
  ...PRODUCER_CALLBACKS.map((name) => `prod.${name}` as const),
  ...CONSUMER_CALLBACKS.map((name) => `cons.${name}` as const),
];

interface Operation {
  readonly call:
    | "registerProducer"
    | "registerConsumer"
    | "unregisterProducer"
    | "unregisterConsumer"
    | "move";
  readonly object: number;
  /** -1 for none. */
  readonly eventfd: number;
  readonly plans: readonly Plan[];
}

const plan: fc.Arbitrary<Plan> = fc.record({
  name: fc.constantFrom(...CALLBACKS),
  misdeed: fc.constantFrom("refuse" as const, "throw" as const, "re-enter" as const),
  times: fc.constantFrom(1, 1000),
});
const operation: fc.Arbitrary<Operation> = fc.record({
  call: fc.constantFrom<Operation["call"]>(
    "registerProducer",
    "registerConsumer",
    "registerProducer",
    "registerConsumer",
    "unregisterProducer",
    "unregisterConsumer",
    "move",
  ),
  object: fc.nat(Math.max(PRODUCERS.length, CONSUMERS.length) - 1),
  eventfd: fc.oneof(
    { weight: 20, arbitrary: fc.nat(EVENTFDS - 1) },
    { weight: 1, arbitrary: fc.constant(-1) },
  ),
  plans: fc.oneof(
    { weight: 2, arbitrary: fc.constant([]) },
    {
      weight: 1,
      arbitrary: fc.uniqueArray(plan, { selector: ({ name }) => name, minLength: 1, maxLength: 3 }),
    },
  ),
});

const ends = new Ends();
const { manager, pools } = ends.host;
const producers = PRODUCERS.map((kind) => ends.producer(kind));
const consumers = CONSUMERS.map((kind) => ends.consumer(kind));
const eventfds = Array.from({ length: EVENTFDS }, () => ends.eventfd());

/** Does to the manager what an operation says, while callbacks misbehave as planned. */
function perform({ call, object, eventfd, plans }: Operation): unknown {
  const script = new Script(plans);
  for (const name of CALLBACKS) {
    ends.on(name, () => {
      const misdeed = script.next(name);
      if (misdeed === "refuse") return { code: "ENODEV", reason: "delivery-mode" };
      if (misdeed === "throw") throw new Error(name);
      if (misdeed === "re-enter") manager.unregisterProducer(producers[0]!);
      return undefined;
    });
  }
  manager.callbacks.faults.length = 0;
  const producer = producers[object % producers.length]!;
  const consumer = consumers[object % consumers.length]!;
  const record = eventfds[eventfd] ?? 0;
  const result = outcome(() => {
    if (call === "registerProducer") manager.registerProducer(producer, record, object);
    else if (call === "registerConsumer") manager.registerConsumer(consumer, record);
    else if (call === "unregisterProducer") manager.unregisterProducer(producer);
    else if (call === "unregisterConsumer") manager.unregisterConsumer(consumer);
    else manager.moveProducer(producer, record);
  });
  return { result, log: ends.takeLog(), faults: manager.callbacks.faults.length };
}

function predict(model: Model, { call, object, eventfd, plans }: Operation): unknown {
  const producer = model.producers[object % producers.length]!;
  const consumer = model.consumers[object % consumers.length]!;
  const key = eventfd < 0 ? undefined : eventfd;
  const result = model.during(plans, () => {
    if (call === "registerProducer") return model.registerProducer(producer, key);
    if (call === "registerConsumer") return model.registerConsumer(consumer, key);
    if (call === "unregisterProducer") return model.unregisterProducer(producer);
    if (call === "unregisterConsumer") return model.unregisterConsumer(consumer);
    return model.move(producer, key);
  });
  return { result, log: model.log, faults: model.faults };
}

/** Who is registered where and connected to whom, by name, from the records and from the index. */
function state(): unknown {
  const name = (record: number) => (record === 0 ? "-" : ends.nameOf(record));
  const at = (record: number) => (record === 0 ? "-" : eventfds.indexOf(record));
  const line = (record: number, { eventfd, partner }: { eventfd: number; partner: number }) =>
    `${name(record)} at ${at(eventfd)} with ${name(partner)}`;
  return {
    producers: producers.map((record) => line(record, ends.stateOfProducer(record))),
    consumers: consumers.map((record) => line(record, ends.stateOfConsumer(record))),
    index: ends.host.mutex.guard(() =>
      eventfds.map((eventfd) => `${name(manager.producerAt(eventfd))} ${name(manager.consumerAt(eventfd))}`),
    ),
  };
}

function modelState({ producers, consumers, producerAt, consumerAt }: Model): unknown {
  const line = ({ name, eventfd, partner }: Model["producers"][number]) =>
    `${name} at ${eventfd ?? "-"} with ${partner?.name ?? "-"}`;
  return {
    producers: producers.map(line),
    consumers: consumers.map(line),
    index: eventfds.map((_, at) => `${producerAt.get(at)?.name ?? "-"} ${consumerAt.get(at)?.name ?? "-"}`),
  };
}

function tearDown(): void {
  ends.calm();
  for (const record of producers) manager.unregisterProducer(record);
  for (const record of consumers) manager.unregisterConsumer(record);
  ends.takeLog();
}

describe("the manager and its model", () => {
  it("agree on every result, on the order of all callbacks and on the state after each operation", () => {
    const seen = { connects: 0, refusals: 0, faults: 0 };
    fc.assert(
      fc
        .property(fc.array(operation, { maxLength: 60, size: "max" }), (operations) => {
          const model = new Model(PRODUCERS, CONSUMERS);
          for (const each of operations) {
            assert.deepEqual(perform(each), predict(model, each));
            assert.deepEqual(state(), modelState(model));
            seen.connects += model.log.filter((line) => line.startsWith("cons.addProducer")).length;
            seen.refusals += model.refusals;
            seen.faults += model.faults;
          }
        })
        .beforeEach(tearDown)
        .afterEach(() => {
          tearDown();
          assert.equal(pools.node.live, 0, "an index keeps nodes when nothing is registered");
        }),
      { numRuns: 1500 },
    );
    // The sequences are worth something only if they get far.
    assert.ok(Math.min(...Object.values(seen)) > 200, JSON.stringify(seen));
  });
});
