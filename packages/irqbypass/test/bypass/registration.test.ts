/** Register and unregister as they are compiled write what the manager writes, in the same order, or leave it to the manager. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { override } from "atomics-explorer";
import fc from "fast-check";
import { Host, IrqBypassError, type Kind, type Words } from "irqbypass";
import { compiledOver } from "#scenarios/support/compiled.js";
import { irqfdOps } from "#src/bypass/remapping.js";
import type { Compiled } from "#src/host/compiled.js";
import { Consumer, Header, NODES, Producer, Root, Thread } from "#src/host/layout.js";
import { Tried } from "#src/host/mutex.js";
import { SharedWords } from "#src/host/words.js";
import { injected, NO_CAPABILITY, posted, relayed, SWITCHED_OFF, UNCONNECTED } from "#src/posting/irte.js";
import { SMALL, smallHost } from "../support/host.js";

/** Eventfds that are used: so that the indexes have up to four leaves, and in between one, two or none. */
const EVENTFDS = [0, 1, 2, 62, 63, 64, 65, 128, 129, 192, 193, 255];
const ENDS = 16;
const CAPACITY = { ...SMALL, eventfd: 256, producer: ENDS, consumer: ENDS, routing: 1 };
/** After the host's own: one with callbacks, and one whose irqfds are injected. */
const KINDS: Kind[] = [
  {
    name: "calls",
    producer: { addConsumer: () => undefined, delConsumer: () => undefined },
    consumer: { addProducer: () => undefined, delProducer: () => undefined },
  },
  { name: "injects", consumer: irqfdOps },
];

type Name = "registerProducer" | "registerConsumer" | "unregisterProducer" | "unregisterConsumer";

/** A host as two threads see it, with all that was written, and how often a compiled function did all that there was to do. */
class Side {
  readonly log: unknown[] = [];
  readonly done: Partial<Record<Name, number>> = {};
  readonly hosts: readonly [Host, Host];
  private readonly eventfds: number[];
  private readonly producers: number[];
  private readonly consumers: number[];

  constructor(compiled: boolean) {
    const options = {
      kinds: KINDS,
      words: (...view: [SharedArrayBuffer, number, number]) => this.watched(new SharedWords(...view)),
    };
    const host = Host.create({ ...options, capacity: CAPACITY });
    this.hosts = [host, Host.attach(host.handle, options)];
    if (compiled)
      for (const each of this.hosts) each.compiled = this.counted(compiledOver(() => each.words, each.base));
    const { pools, mutex, words } = host;
    const made = (pool: { allocate(): number }, count: number) =>
      mutex.guard(() => Array.from({ length: count }, () => pool.allocate()));
    this.eventfds = made(pools.eventfd, CAPACITY.eventfd);
    this.producers = made(pools.producer, ENDS);
    this.consumers = made(pools.consumer, ENDS);
    for (const [i, producer] of this.producers.entries())
      words.set(producer + Producer.kind, i % 8 === 7 ? 1 : 0);
    for (const [i, consumer] of this.consumers.entries()) {
      words.set(consumer + Consumer.kind, i % 8 === 7 ? 1 : i % 8 === 6 ? 2 : 0);
      words.store(consumer + Consumer.target, i % 8 === 6 ? injected(0) : posted(i, 0x41));
    }
    this.log.length = 0;
  }

  /** Does it, and returns what came of it. */
  run({ name, thread, end, eventfd, value }: Command): string {
    const host = this.hosts[thread]!;
    const { manager, words } = host;
    const [producer, consumer] = [this.producers[end]!, this.consumers[end]!];
    const record = eventfd === -1 ? 0 : this.eventfds[EVENTFDS[eventfd]!]!;
    try {
      if (name === "registerProducer") manager.registerProducer(producer, record, value);
      else if (name === "registerConsumer") manager.registerConsumer(consumer, record);
      else if (name === "unregisterProducer") manager.unregisterProducer(producer);
      else if (name === "unregisterConsumer") manager.unregisterConsumer(consumer);
      else if (name === "moveProducer") manager.moveProducer(producer, record);
      else if (name === "switch") words.store(Header.bypass, value & 1);
      else if (name === "tick") words.store(Header.ticks, value);
      else if (name === "watch") words.store(Header.watchers, value & 1);
      else if (name === "grant") words.set(host.thread.record + Thread.capable, (value & 1) << 2);
      else if (name === "policy") words.set(consumer + Consumer.policy, 1 + (value & 1));
      else words.store(consumer + Consumer.target, value & 1 ? relayed("not-msi") : posted(end, value & 255));
      return "done";
    } catch (error) {
      if (!(error instanceof IrqBypassError)) throw error;
      return `${error.code} ${error.side} ${error.reason} ${error.message}`;
    }
  }

  /** The whole memory but for the host's random number. */
  contents(): Int32Array {
    const { buffer } = this.hosts[0].handle.memory;
    const words = new Int32Array(buffer).slice();
    words[Header.id] = 0;
    return words;
  }

  /** Words that write down what is written: in which order they are read under the mutex, nobody can tell. */
  private watched(words: Words): Words {
    const noted =
      (name: string, method: (...operands: number[]) => unknown) =>
      (...operands: number[]) => {
        const result = method(...operands);
        this.log.push([name, ...operands, result]);
        return result as never;
      };
    return override(words, {
      store: noted("store", (word, value) => words.store(word!, value!)),
      or: noted("or", (word, value) => words.or(word!, value!)),
      and: noted("and", (word, value) => words.and(word!, value!)),
      add: noted("add", (word, value) => words.add(word!, value!)),
      exchange: noted("exchange", (word, value) => words.exchange(word!, value!)),
      compareExchange: noted("compareExchange", (...all) => words.compareExchange(all[0]!, all[1]!, all[2]!)),
      notify: noted("notify", (word, count) => words.notify(word!, count)),
      set: noted("set", (word, value) => words.set(word!, value!)),
    });
  }

  private counted(compiled: Compiled): Compiled {
    const count =
      <Arguments extends number[]>(name: Name, call: (...all: Arguments) => number) =>
      (...all: Arguments) => {
        const result = call(...all);
        if (result >= 0) this.done[name] = (this.done[name] ?? 0) + 1;
        return result;
      };
    return {
      ...compiled,
      registerProducer: count("registerProducer", compiled.registerProducer),
      registerConsumer: count("registerConsumer", compiled.registerConsumer),
      unregisterProducer: count("unregisterProducer", compiled.unregisterProducer),
      unregisterConsumer: count("unregisterConsumer", compiled.unregisterConsumer),
    };
  }
}

const command = fc.record({
  name: fc.constantFrom(
    ...(["registerProducer", "registerConsumer", "unregisterProducer", "unregisterConsumer"] as const),
    ...(["registerProducer", "registerConsumer", "unregisterProducer", "unregisterConsumer"] as const),
    ...(["moveProducer", "switch", "switch", "tick", "watch", "grant", "policy", "target"] as const),
  ),
  thread: fc.nat(1),
  end: fc.nat(ENDS - 1),
  eventfd: fc.integer({ min: -1, max: EVENTFDS.length - 1 }),
  value: fc.nat(1 << 20),
});
type Command = typeof command extends fc.Arbitrary<infer Made> ? Made : never;

describe("the compiled registration", () => {
  it("writes what the manager writes, in the same order, in whatever state the host is", () => {
    const done: Partial<Record<Name, number>> = {};
    let left = 0;
    fc.assert(
      fc.property(fc.array(command, { minLength: 100, maxLength: 300 }), (commands) => {
        const [plain, compiled] = [new Side(false), new Side(true)];
        for (const each of commands) {
          assert.equal(compiled.run(each), plain.run(each));
          assert.deepEqual(compiled.log, plain.log);
          plain.log.length = compiled.log.length = 0;
        }
        assert.ok(Buffer.from(compiled.contents().buffer).equals(Buffer.from(plain.contents().buffer)));
        assert.deepEqual(compiled.hosts[0].audit().findings, plain.hosts[0].audit().findings);
        left += commands.filter(({ name }) => name in compiled.done).length;
        for (const [name, times] of Object.entries(compiled.done) as [Name, number][]) {
          left -= times;
          done[name] = (done[name] ?? 0) + times;
        }
      }),
      { numRuns: 60, endOnFailure: true },
    );
    // Neither way was left untried.
    for (const name of [
      "registerProducer",
      "registerConsumer",
      "unregisterProducer",
      "unregisterConsumer",
    ] as const)
      assert.ok(done[name]! > 100, `${name} was done ${done[name]} times`);
    assert.ok(left > 100, `${left} were left to the manager`);
  });

  for (const compiled of [false, true]) {
    it(`waits for a signal that is under way ${compiled ? "as compiled" : "in TypeScript"}`, () => {
      for (const first of ["producer", "consumer"]) {
        const side = new Side(compiled);
        const [vmm, device] = side.hosts;
        const at = { thread: 0, value: 0 };
        for (const end of [0, 1]) {
          side.run({ ...at, name: "registerConsumer", end, eventfd: end });
          side.run({ ...at, thread: 1, name: "registerProducer", end, eventfd: end });
        }
        const producer = vmm.pools.producer.at(0);
        device.words.store(device.thread.signalling, producer);
        let looks = 0;
        vmm.words.relax = () => {
          looks += 1;
          if (looks === 3) device.words.store(device.thread.signalling, 0);
        };
        side.run({
          ...at,
          name: first === "producer" ? "unregisterProducer" : "unregisterConsumer",
          end: 0,
          eventfd: 0,
        });
        assert.equal(looks, 3, first);
        // And once more for whoever comes second, since the first fence may be another thread's.
        device.words.store(device.thread.writing, producer);
        vmm.words.relax = () => void device.words.store(device.thread.writing, 0);
        if (first === "producer") side.run({ ...at, name: "unregisterConsumer", end: 0, eventfd: 0 });
        if (first === "producer") assert.equal(device.words.load(device.thread.writing), 0);
        if (compiled) assert.ok(side.done.unregisterConsumer === 1);
      }
    });
  }

  it("knows where the pool of nodes keeps its state, and the reasons by their numbers", () => {
    assert.equal(Host.create({ capacity: CAPACITY }).pools.node.state, NODES);
    assert.equal(UNCONNECTED, relayed("no-consumer"));
    assert.equal(SWITCHED_OFF, relayed("switched-off"));
    assert.equal(NO_CAPABILITY, relayed("no-capability"));
  });

  it("leaves a mutex that another thread has to the manager, which waits for it", () => {
    const side = new Side(true);
    const [vmm, other] = side.hosts;
    side.run({ name: "registerConsumer", thread: 0, end: 1, eventfd: 1, value: 0 });
    assert.equal(other.mutex.take(), true);
    const result = vmm.compiled!.registerConsumer(
      vmm.base,
      vmm.thread.lockId << 1,
      1,
      vmm.pools.consumer.at(0),
      vmm.pools.eventfd.at(0),
    );
    assert.equal(result, Tried.busy);
    assert.equal(other.mutex.owner, other.thread.lockId);
    let looks = 0;
    vmm.words.relax = () => {
      looks += 1;
      if (looks === 3) other.mutex.give();
    };
    assert.equal(side.run({ name: "registerConsumer", thread: 0, end: 0, eventfd: 0, value: 0 }), "done");
    assert.equal(looks, 3);
  });

  it("gives the mutex back where the index leads past the end of the memory", () => {
    const host = smallHost();
    const { manager, pools, words, mutex } = host;
    const [eventfd, consumer] = mutex.guard(() => [pools.eventfd.allocate(), pools.consumer.allocate()]);
    words.set(Header.consumers + Root.node, 2 ** 29);
    words.set(Header.consumers + Root.levels, 1);
    assert.equal(host.fastPath, "wasm");
    assert.throws(() => manager.registerConsumer(consumer!, eventfd!), /memory access out of bounds/);
    assert.equal(mutex.owner, 0);
  });

  it("takes no mutex in a thread that has left the host", () => {
    const host = smallHost();
    const other = Host.attach(host.handle);
    const [eventfd, consumer] = host.mutex.guard(() => [
      host.pools.eventfd.allocate(),
      host.pools.consumer.allocate(),
    ]);
    other.dispose();
    assert.throws(() => other.manager.registerConsumer(consumer!, eventfd!), { code: "EBADF" });
    assert.equal(host.mutex.owner, 0);
  });
});
