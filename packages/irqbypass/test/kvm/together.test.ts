/** Routes of a KVM guest that several threads change at the same moment: KVM is given one table for all of them. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Host, Producer } from "irqbypass";
import { guestTables, KvmVm, kvm, requestedVectors } from "irqbypass/kvm";
import { LinuxEventfd, linux } from "irqbypass/linux";
import { Thread } from "#src/host/layout.js";
import { vmMutex } from "#src/vm/vm-mutex.js";
import { TestThread, until } from "../support/worker.js";
import { kvmTests } from "./available.js";
import { Bomb, type Outcome, REFUSED, type Ready, type Together, type Wish, Word } from "./together-board.js";

const THREADS = 3;
const ROUNDS = 6;
const FIRST = 0x20;
const SIGNALS = 400;

/** A guest, and threads that have a route of it each. */
async function setUp(bypass: Together["bypass"] = "off") {
  const host = Host.create({ kinds: [linux(), kvm()] });
  const vm = new KvmVm(host);
  const board = new Int32Array(new SharedArrayBuffer(4 * Word.words));
  const start = (): TestThread =>
    new TestThread(new URL("./together-thread.js", import.meta.url), {
      ...{ host: host.handle, vm: vm.handle, board, bypass },
    } satisfies Together);
  const threads = Array.from({ length: THREADS }, start);
  const ready = await Promise.all(threads.map((thread) => thread.next<Ready>()));
  const { words, pools } = host;
  const mutex = vmMutex(host, pools.vm.open(vm.handle));
  const asks = ({ thread }: Ready) => words.load(pools.thread.at(thread) + Thread.asked) !== 0;
  return {
    host,
    vm,
    threads,
    ready,
    board,
    live: () => [pools.route.live, pools.injection.live],
    requested: () => requestedVectors(vm.machine.vcpus[0]!.lapic()),
    /** Has each thread ask before any is heard, and returns how many tables that took, and what it came to. */
    async ask(wishes: readonly Wish[], meanwhile = async () => {}) {
      const before = board[Word.tables]!;
      assert.ok(mutex.take(), "nobody else has the guest's mutex");
      wishes.forEach((wish, index) => {
        threads[index]!.worker.postMessage(wish);
      });
      await until("every thread asks", () =>
        ready.every((one, index) => index >= wishes.length || asks(one)),
      );
      await meanwhile();
      mutex.give();
      const outcomes = await Promise.all(
        wishes.map((_, index) => threads[index]!.next<Outcome>().catch((): Outcome => ({ code: "ended" }))),
      );
      return { tables: board[Word.tables]! - before, outcomes: outcomes.map(({ code }) => code) };
    },
    async [Symbol.asyncDispose]() {
      await Promise.all(threads.map((thread) => thread.terminate()));
      await until("the threads are repaired after", () => host.threads().length === 1);
      assert.deepEqual(host.audit().findings, []);
      vm.dispose();
      assert.deepEqual([pools.injection.live, pools.consumer.live], [0, 0]);
      host.dispose();
    },
  };
}

const vectors = (round: number) =>
  Array.from({ length: THREADS }, (_, index) => ({ vector: FIRST + 1 + round * THREADS + index }));
const NONE = Array.from({ length: THREADS }, () => undefined);

describe("a route that a thread changes and dies", kvmTests, () => {
  it("is in KVM and leads every irqfd there, as soon as the thread is repaired after", async () => {
    await using t = await setUp();
    const { gsi } = t.ready[0]!;
    using eventfd = LinuxEventfd.create(t.host);
    using nic = Producer.create(t.host);
    nic.register(eventfd);
    using irqfd = t.vm.irqfd(eventfd, gsi);
    assert.equal(irqfd.path, "injected");
    const { outcomes } = await t.ask(vectors(0).slice(0, 1), async () => {
      Atomics.store(t.board, Word.bomb, Bomb.before);
    });
    assert.deepEqual(outcomes, ["ended"]);
    await until("it is repaired after", () => t.host.threads().length === THREADS);
    assert.deepEqual([t.requested(), irqfd.path], [[], "injected"]);
    nic.signal();
    assert.deepEqual(t.requested(), [vectors(0)[0]!.vector]);
    eventfd.signal();
    nic.unregister();
  });
});

describe("routes that several threads change at once", kvmTests, () => {
  for (const bypass of ["off", "require"] as const)
    it(`are one table to KVM, and each leads where it says when its call has returned (bypass: ${bypass})`, async () => {
      await using t = await setUp(bypass);
      for (let round = 0; round < ROUNDS; round++)
        assert.deepEqual(await t.ask(vectors(round)), { tables: 1, outcomes: NONE });
      const all = Array.from({ length: ROUNDS }, (_, round) => vectors(round)).flat();
      assert.deepEqual(
        t.requested(),
        all.map(({ vector }) => vector),
        "a signal went by the route as it was before",
      );
    });

  it("of which KVM refuses one, are changed but for that, and its thread alone hears of it", async () => {
    await using t = await setUp();
    await t.ask(vectors(0));
    const wishes = vectors(1).map((wish, index) => (index === 1 ? { vector: REFUSED } : wish));
    const { tables, outcomes } = await t.ask(wishes);
    assert.deepEqual(outcomes, [undefined, "EINVAL", undefined]);
    assert.equal(tables, 1 + THREADS, "all together, then each by itself");
    const good = [...vectors(0), ...vectors(1).filter((_, index) => index !== 1)];
    assert.deepEqual(
      t.requested(),
      good.map(({ vector }) => vector),
    );
    assert.deepEqual(await t.ask(vectors(2)), { tables: 1, outcomes: NONE }, "together again");
  });

  it("end with others' changes, and one that may not end keeps none of the others", async () => {
    await using t = await setUp("require");
    const [routes] = t.live();
    const { outcomes } = await t.ask(vectors(0).map((wish, index) => (index === 2 ? "end" : wish)));
    assert.deepEqual(outcomes, [undefined, undefined, "EOPNOTSUPP"]);
    assert.deepEqual(t.live()[0], routes);
    const { vector } = vectors(0)[2]!;
    assert.equal(t.requested().includes(vector), false);
    assert.equal(t.requested().length, THREADS, "the one that stays leads where it did");
  });

  it("end together", async () => {
    await using t = await setUp();
    const [routes] = t.live();
    assert.deepEqual(await t.ask(NONE.map(() => "end" as const)), { tables: 1, outcomes: NONE });
    assert.deepEqual(t.live()[0], routes! - THREADS);
    assert.deepEqual(t.requested(), []);
  });

  it("are not waited for where the thread has died that asked: its route is as it was, or as it was to be", async () => {
    await using t = await setUp();
    const { outcomes } = await t.ask(vectors(0), () => t.threads[0]!.terminate());
    assert.deepEqual(outcomes, ["ended", undefined, undefined]);
    const { data } = t.vm.route(t.ready[0]!.gsi).msi;
    assert.ok([FIRST, vectors(0)[0]!.vector].includes(data!), `it has vector ${data}`);
    assert.deepEqual(
      t.requested(),
      vectors(0)
        .slice(1)
        .map(({ vector }) => vector),
    );
  });

  for (const bomb of [Bomb.before, Bomb.after])
    it(`are changed where the thread dies that gives KVM the table, ${bomb === Bomb.before ? "before" : "after"} KVM has it`, async () => {
      await using t = await setUp();
      const { outcomes } = await t.ask(vectors(0), async () => {
        Atomics.store(t.board, Word.bomb, bomb);
      });
      assert.deepEqual(
        outcomes.filter((code) => code !== undefined),
        ["ended"],
      );
      const dead = outcomes.indexOf("ended");
      const alive = vectors(0).filter((_, index) => index !== dead);
      assert.deepEqual(
        t.requested(),
        alive.map(({ vector }) => vector),
      );
      t.ready.forEach(({ gsi }, index) => {
        const { data } = t.vm.route(gsi).msi;
        assert.equal(data, vectors(0)[index]!.vector, "whoever repairs makes what was taken");
      });
    });
});

describe("signals beside threads that change their routes at once", kvmTests, () => {
  it("are an interrupt each, by the one vector or the other, whether they go by the eventfd or are injected", async () => {
    await using t = await setUp();
    await t.ask(vectors(0)); // each is signalled once
    t.vm.start();
    const { count } = guestTables(t.vm.memory, 0);
    const pairs = vectors(0).map(({ vector }, index) => [vector, vector + 0x40 + index] as const);
    const taken = (line: number) =>
      pairs[line]!.reduce((sum, vector) => sum + Atomics.load(count, vector), 0);
    const lines = t.ready.map(({ gsi }) => {
      const eventfd = LinuxEventfd.create(t.host);
      const nic = Producer.create(t.host);
      nic.register(eventfd);
      const irqfd = t.vm.irqfd(eventfd, gsi);
      return { eventfd, nic, irqfd };
    });
    await until("the guest runs", () => pairs.every((_, line) => taken(line) === 1));
    t.threads.forEach((thread, index) => {
      thread.worker.postMessage({ between: pairs[index]! } satisfies Wish);
    });
    for (let turn = 0; turn < SIGNALS; turn++) {
      const line = turn % THREADS;
      const { nic, eventfd } = lines[line]!;
      const before = taken(line);
      if (turn % 3 === 0) eventfd.signal();
      else nic.signal();
      await until(`signal ${turn} is taken`, () => taken(line) > before);
      assert.equal(taken(line), before + 1, `signal ${turn} came more than once`);
    }
    Atomics.store(t.board, Word.stop, 1);
    const outcomes = await Promise.all(t.threads.map((thread) => thread.next<Outcome>()));
    const changes = outcomes.map((outcome) => outcome.changes ?? 0);
    assert.ok(Math.min(...changes) > 0, `the threads made ${changes} changes`);
    for (const { nic, irqfd, eventfd } of lines) {
      nic.dispose();
      irqfd.dispose();
      eventfd.close();
    }
    await t.vm.stop();
  });
});
