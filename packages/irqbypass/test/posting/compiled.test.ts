/** The compiled fast path does what the TypeScript one does: the same accesses, in the same order, with the same results. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { describe, it } from "node:test";
import { override } from "atomics-explorer";
import fc from "fast-check";
import { Eventfd, Host, IrqBypassError, Producer, Vcpu, Vm, type WasmMemory, type Words } from "irqbypass";
import { compiledOver } from "#scenarios/support/compiled.js";
import { countOne } from "#src/eventfd/signal.js";
import { compiledFor } from "#src/host/compiled.js";
import {
  Descriptor,
  Eventfd as E,
  Epoll,
  EVENT,
  KICKED,
  NOTIFICATION_VECTOR,
  ON,
  Producer as P,
  SN,
  Vcpu as V,
  WAITED,
  WAKEUP_VECTOR,
  Watch,
} from "#src/host/layout.js";
import { createMemory } from "#src/host/wasm.js";
import { SharedWords } from "#src/host/words.js";
import * as fast from "#src/posting/fast-path.js";
import { injected, posted, relayed } from "#src/posting/irte.js";
import { SMALL, smallHost } from "../support/host.js";

// A memory with an in-flight word, two producers and two vCPUs, and an eventfd with two watches of one epoll.
const INFLIGHT = 16;
const PRODUCERS = [32, 48] as const;
const VCPUS = 64;
const EVENTFD = VCPUS + 2 * V.words;
const WATCHES = [EVENTFD + E.words, EVENTFD + E.words + Watch.words] as const;
const EPOLL = WATCHES[1] + Watch.words;
const WORDS = EPOLL + Epoll.words;
const BASE = 4096;

type Memory = Parameters<typeof fast.signal>[0];
type Step = (memory: Memory) => number | boolean | undefined;

const index = fc.constantFrom(0, 1);
const vcpu = index.map((which) => VCPUS + which * V.words);
const vector = fc.nat(255);

const step: fc.Arbitrary<{ name: string; run: Step }> = fc.oneof(
  fc.constantFrom(...PRODUCERS).map((producer) => ({
    name: `signal ${producer}`,
    run: (memory: Memory) => fast.signal(memory, INFLIGHT, producer, VCPUS),
  })),
  fc.tuple(vcpu, vector).map(([to, which]) => ({
    name: `post ${which} to ${to}`,
    run: (memory: Memory) => fast.post(memory, to + V.descriptor, which) as undefined,
  })),
  vcpu.map((of) => ({
    name: `pending ${of}`,
    run: (memory: Memory) => fast.pending(memory, of + V.descriptor),
  })),
  vcpu.map((of) => ({
    name: `harvest ${of}`,
    run: (memory: Memory) => fast.harvest(memory, of + V.descriptor, of + V.irr),
  })),
  fc.constant({
    name: "countOne",
    run: ({ words, compiled, base }: Memory) =>
      compiled === undefined ? countOne(words, EVENTFD) : compiled.countOne(base, EVENTFD) !== 0,
  }),
);

const control = fc
  .tuple(
    fc.constantFrom(0, ON, SN, ON | SN, KICKED, ON | EVENT),
    fc.constantFrom(NOTIFICATION_VECTOR, WAKEUP_VECTOR, 0),
  )
  .map(([bits, nv]) => bits | (nv << 16));
const irte = fc.oneof(
  fc.tuple(index, vector).map(([to, which]) => posted(to, which)),
  fc.constantFrom(relayed("no-consumer"), relayed("policy-off"), injected(7)),
);
/** Words that matter, and what may well be in them; any other word anything. */
const change: fc.Arbitrary<readonly [word: number, value: number]> = fc.oneof(
  fc.tuple(
    vcpu.map((of) => of + V.descriptor + Descriptor.control),
    control,
  ),
  fc.tuple(
    fc.constantFrom(...PRODUCERS).map((producer) => producer + P.irte),
    irte,
  ),
  fc.tuple(fc.constant(INFLIGHT), fc.constantFrom(0, PRODUCERS[0] | WAITED)),
  fc.tuple(fc.integer({ min: VCPUS, max: EVENTFD - 1 }), fc.integer()),
  fc.tuple(
    fc.constantFrom(EVENTFD + E.counter, EVENTFD + E.counter + 1),
    fc.constantFrom(0, 1, -1, -2, 0x3fff_ffff, 0x4000_0000),
  ),
  fc.tuple(fc.constant(EVENTFD + E.sequence), fc.nat(11)),
  fc.tuple(fc.constantFrom(...WATCHES.map((watch) => watch + Watch.fired)), index),
  fc.tuple(fc.constantFrom(EPOLL + Epoll.bits, EPOLL + Epoll.bits + 7), fc.constantFrom(0, 1, 1 << 31)),
  fc.tuple(fc.constant(EPOLL + Epoll.control), fc.nat(7)),
);

/** Two watches, the first of which the eventfd leads to, with the first and the last bit of the epoll. */
const FIXED: readonly (readonly [word: number, value: number])[] = [
  [EVENTFD + E.watches, WATCHES[0]],
  [WATCHES[0] + Watch.next, WATCHES[1]],
  [WATCHES[1] + Watch.bit, 255],
  ...WATCHES.map((watch) => [watch + Watch.epoll, EPOLL] as const),
];

/** The same words twice, in one memory each. */
function twoMemories(changes: readonly (readonly [number, number])[]) {
  const [plain, shared] = [createMemory(1), createMemory(1)];
  const views = [plain, shared].map(
    ({ buffer }) => new SharedWords(buffer as SharedArrayBuffer, BASE, WORDS),
  ) as [SharedWords, SharedWords];
  for (const words of views) for (const [word, value] of [...FIXED, ...changes]) words.set(word, value);
  return { views, memories: [plain, shared] as const };
}

const contents = (words: Words) => Array.from({ length: WORDS }, (_, word) => words.get(word));

/** Another thread, which writes before some of the accesses. */
type Interference = readonly { readonly before: number; readonly change: readonly [number, number] }[];

/** Words that write down every access, with what others do in between. */
function watched(words: Words, others: Interference): { words: Words; log: unknown[] } {
  const log: unknown[] = [];
  const noted =
    <T extends number | bigint>(name: string, method: (word: number, ...operands: T[]) => unknown) =>
    (word: number, ...operands: T[]) => {
      for (const { before, change: written } of others) if (before === log.length) words.store(...written);
      const result = method(word, ...operands);
      log.push([name, word, ...operands.map((one) => (typeof one === "number" ? one | 0 : one)), result]);
      return result as never;
    };
  return {
    log,
    words: override(words, {
      load: noted("load", (word) => words.load(word)),
      store: noted("store", (word, value) => words.store(word, value!)),
      or: noted("or", (word, value) => words.or(word, value!)),
      and: noted("and", (word, value) => words.and(word, value!)),
      add: noted("add", (word, value) => words.add(word, value!)),
      exchange: noted("exchange", (word, value) => words.exchange(word, value!)),
      load64: noted("load64", (word) => words.load64(word)),
      compareExchange64: noted<bigint>("compareExchange64", (word, expected, value) =>
        words.compareExchange64(word, expected!, value!),
      ),
      notify: noted("notify", (word) => words.notify(word)),
      get: noted("get", (word) => words.get(word)),
      set: noted("set", (word, value) => words.set(word, value!)),
    }),
  };
}

describe("the compiled fast path", () => {
  it("returns and leaves behind what the TypeScript one does", () => {
    fc.assert(
      fc.property(
        fc.array(change, { maxLength: 40 }),
        fc.array(fc.tuple(step, fc.option(change)), { maxLength: 30 }),
        (start, steps) => {
          const { views, memories } = twoMemories(start);
          const sides = [
            { words: views[0], base: BASE, compiled: undefined },
            { words: views[1], base: BASE, compiled: compiledFor(memories[1], "wasm", false) },
          ] as const;
          for (const [{ name, run }, between] of steps) {
            assert.equal(run(sides[1]), run(sides[0]), name);
            assert.deepEqual(contents(views[1]), contents(views[0]), name);
            if (between !== null) for (const words of views) words.store(...between);
          }
        },
      ),
      { numRuns: 300 },
    );
  });

  it("makes the same accesses in the same order, whatever others write in between", () => {
    fc.assert(
      fc.property(
        fc.array(change, { maxLength: 40 }),
        fc.array(step, { minLength: 1, maxLength: 6 }),
        fc.array(fc.record({ before: fc.nat(60), change }), { maxLength: 12 }),
        (start, steps, others) => {
          const { views } = twoMemories(start);
          const logs = views.map((view, side) => {
            const { words, log } = watched(view, others);
            const compiled = side === 0 ? undefined : compiledOver(() => words, BASE);
            for (const { name, run } of steps) log.push([name, run({ words, base: BASE, compiled })]);
            return log;
          });
          assert.deepEqual(logs[1], logs[0]);
          assert.deepEqual(contents(views[1]), contents(views[0]));
        },
      ),
      { numRuns: 500 },
    );
  });

  it("is what a host runs, in memory of its own or of others, whatever their maximum", () => {
    const bytes = 65536 + Host.create({ capacity: SMALL }).handle.memory.buffer.byteLength;
    const { Memory } = (globalThis as unknown as { WebAssembly: { Memory: new (of: object) => WasmMemory } })
      .WebAssembly;
    const memory = new Memory({ initial: Math.ceil(bytes / 65536), maximum: 65536, shared: true });
    for (const host of [smallHost(), smallHost({ memory, byteOffset: 64 * 321 })]) {
      assert.equal(host.fastPath, "wasm");
      assert.deepEqual(roundTrip(host), { path: "posted", wake: "interrupt", vector: 0x41 });
      assert.equal(Host.attach(host.handle).fastPath, "wasm");
    }
  });

  it("makes way for TypeScript where it is asked to, and where every access is to be seen", () => {
    for (const options of [
      { fastPath: "typescript" } as const,
      { words: (...view: [SharedArrayBuffer, number, number]) => new SharedWords(...view) },
    ]) {
      const host = smallHost(options);
      assert.equal(host.fastPath, "typescript");
      assert.deepEqual(roundTrip(host), { path: "posted", wake: "interrupt", vector: 0x41 });
      assert.equal(Host.attach(host.handle, options).fastPath, "typescript");
    }
  });

  it("is refused together with words, and under another name", () => {
    const words = (...view: [SharedArrayBuffer, number, number]) => new SharedWords(...view);
    const einval = (error: unknown) => error instanceof IrqBypassError && error.code === "EINVAL";
    assert.throws(() => smallHost({ words, fastPath: "wasm" }), einval);
    assert.throws(() => smallHost({ fastPath: "fast" as never }), einval);
    assert.throws(() => Host.attach(smallHost().handle, { fastPath: null as never }), einval);
  });

  it("is not missed where a security policy forbids to compile it, unless it was asked for", () => {
    const { stdout, stderr } = spawnSync(
      process.execPath,
      ["--input-type=module", "--eval", PAGE_THAT_FORBIDS],
      {
        encoding: "utf8",
        cwd: new URL("../../..", import.meta.url),
      },
    );
    assert.equal(stdout, "typescript interrupt 65 EOPNOTSUPP\n", stderr);
  });
});

/** One interrupt through a host, from signal() to the vCPU's acknowledge. */
function roundTrip(host: Host) {
  const vm = new Vm(host, { vcpus: 1 });
  vm.setGsiRouting([{ gsi: 24, msi: { vcpu: 0, vector: 0x41 } }]);
  const eventfd = Eventfd.create(host);
  vm.irqfd(eventfd, 24);
  const producer = Producer.create(host);
  producer.register(eventfd);
  const vcpu = Vcpu.open(host, vm.vcpu(0).handle);
  producer.signal();
  return { path: producer.path, wake: vcpu.wait({ timeoutMs: 0 }), vector: vcpu.acknowledge() };
}

/** As under a Content-Security-Policy without wasm-unsafe-eval: memories can be made, modules cannot. */
const PAGE_THAT_FORBIDS = `
WebAssembly.Module = class {
  constructor() {
    throw new WebAssembly.CompileError("Wasm code generation disallowed by embedder");
  }
};
const { Eventfd, Host, Producer, Vcpu, Vm } = await import("irqbypass");
const capacity = ${JSON.stringify(SMALL)};
const host = Host.create({ capacity });
const vm = new Vm(host, { vcpus: 1 });
vm.setGsiRouting([{ gsi: 24, msi: { vcpu: 0, vector: 0x41 } }]);
const eventfd = Eventfd.create(host);
vm.irqfd(eventfd, 24);
const producer = Producer.create(host);
producer.register(eventfd);
const vcpu = Vcpu.open(host, vm.vcpu(0).handle);
producer.signal();
let code = "";
try {
  Host.create({ capacity, fastPath: "wasm" });
} catch (error) {
  code = error.code;
}
console.log(host.fastPath, vcpu.wait({ timeoutMs: 0 }), vcpu.acknowledge(), code);
`;
