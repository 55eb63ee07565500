/** Epolls beside Linux's: the same calls in the same order, and what each of them brings. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Epoll, Eventfd, Host, Vm } from "irqbypass";
import { LinuxEventfd, linux as linuxKind, loadFfi } from "irqbypass/linux";
import { Random, seedOf } from "../fuzz/random.js";
import { TestThread, until } from "../support/worker.js";
import { linux } from "./available.js";
import { Kernel, Library, type Side } from "./epoll-sides.js";

const EVENTFDS = 5;
const EPOLLS = 2;
const ROUNDS = 60;
const STEPS = 150;

/** Has the sides do the same, step by step; returns how often each outcome was seen. */
function play(sides: readonly Side[], random: Random, seen: Map<string, number>): void {
  /** Which handles of each eventfd are open, which is all that the steps themselves need to know. */
  const open = Array.from({ length: EVENTFDS }, () => ({ first: false, second: false }));
  const trail: string[] = [];
  const all = (step: string, act: (side: Side) => string) => {
    const [expected, ...others] = sides.map(act);
    trail.push(`${step}: ${expected}`);
    for (const [index, found] of others.entries())
      assert.equal(found, expected, `${sides[index + 1]!.name} beside Linux, last of\n${trail.join("\n")}`);
    const key = `${step.split(" ")[0]} ${/^[\d ]+$/.test(expected!) ? "some" : expected || "none"}`;
    seen.set(key, (seen.get(key) ?? 0) + 1);
  };
  for (let step = 0; step < STEPS; step++) {
    const e = random.below(EVENTFDS);
    const p = random.below(EPOLLS);
    const its = open[e]!;
    const isOpen = its.first || its.second;
    const what = random.below(16);
    if (!isOpen || (what === 0 && !its.first && !its.second)) {
      const semaphore = random.oneIn(3);
      all(`create ${e} ${semaphore}`, (side) => side.create(e, semaphore));
      its.first = true;
    } else if (what === 0 && its.first) {
      all(`close ${e} first`, (side) => side.close(e, "first"));
      its.first = false;
    } else if (what === 1 && its.second) {
      all(`close ${e} second`, (side) => side.close(e, "second"));
      its.second = false;
    } else if (what === 1 && its.first) {
      all(`again ${e}`, (side) => side.again(e));
      its.second = true;
    } else if (what < 5) {
      const edge = random.oneIn(2);
      all(`add ${p} ${e} ${edge}`, (side) => side.add(p, e, e * 10 + p, edge));
    } else if (what === 5) {
      all(`remove ${p} ${e}`, (side) => side.remove(p, e));
    } else if (what < 9) {
      const value = random.below(3);
      all(`write ${e} ${value}`, (side) => side.write(e, value));
    } else if (what < 11) {
      all(`read ${e}`, (side) => side.read(e));
    } else {
      all(`wait ${p}`, (side) => side.wait(p));
    }
  }
}

describe("an epoll beside Linux's", linux, () => {
  it("brings all that fit in one wait, however many of Linux's eventfds there are", () => {
    using host = Host.create({
      kinds: [linuxKind()],
      capacity: { eventfd: 200, watch: 200, reference: 208 },
    });
    using epoll = Epoll.create(host);
    const all = Array.from({ length: 200 }, (_, data) => {
      const eventfd = LinuxEventfd.create(host);
      epoll.add(eventfd, { data, edge: data % 2 === 1 });
      eventfd.write();
      return data;
    });
    const wait = (maxEvents: number) => epoll.tryWait({ maxEvents }).sort((a, b) => a - b);
    assert.deepEqual(wait(1_000_000), all);
    assert.deepEqual(
      wait(2 ** 40),
      all.filter((data) => data % 2 === 0),
    );
    assert.equal(epoll.tryWait().length, 64);
  });

  it("brings the same at each of many random steps, over both kinds of eventfd", () => {
    const seed = seedOf(process.env);
    const random = new Random(seed);
    const seen = new Map<string, number>();
    for (let round = 0; round < ROUNDS; round++) {
      using host = Host.create({ kinds: [linuxKind()] });
      const sides = [
        new Kernel(loadFfi(), EPOLLS),
        new Library(host, false, EPOLLS),
        new Library(host, true, EPOLLS),
      ];
      try {
        play(sides, random, seen);
        assert.deepEqual(host.audit().findings, []);
      } catch (error) {
        throw new Error(`IRQBYPASS_FUZZ_SEED=${seed}, round ${round}`, { cause: error });
      } finally {
        for (const side of sides) side.end();
      }
      assert.deepEqual([host.pools.epoll.live, host.pools.watch.live, host.pools.eventfd.live], [0, 0, 0]);
    }
    for (const outcome of [
      ...[
        "wait some",
        "wait none",
        "add added",
        "add EEXIST",
        "add EBADF",
        "remove removed",
        "remove ENOENT",
      ],
      ...["remove EBADF", "write written", "read EAGAIN", "close closed", "again made"],
    ])
      assert.ok(
        (seen.get(outcome) ?? 0) > 10,
        `${outcome} was seen ${seen.get(outcome)} times: ${[...seen]}`,
      );
  });
});

describe("an epoll that watches Linux eventfds", linux, () => {
  const make = () => Host.create({ kinds: [linuxKind()] });

  it("watches both kinds at once, and neither comes last each time", () => {
    using host = make();
    using epoll = Epoll.create(host);
    const both = [Eventfd.create(host), LinuxEventfd.create(host)];
    both.forEach((eventfd, data) => {
      epoll.add(eventfd, { data });
      eventfd.write();
    });
    const seen = [1, 2, 3, 4].map(() => epoll.wait({ maxEvents: 1 })[0]);
    assert.deepEqual(seen.sort(), [0, 0, 1, 1]);
    for (const eventfd of both) eventfd.close();
  });

  it("has a wait, and one that does not block, hear of writes that nobody in the host makes", async () => {
    using host = make();
    using epoll = Epoll.create(host);
    using eventfd = LinuxEventfd.create(host);
    const ffi = loadFfi();
    const waiting = epoll.waitAsync(); // before anything of the kernel's is watched
    epoll.add(eventfd, { data: 3 });
    setTimeout(() => ffi.eventfdWrite(eventfd.fd, 1), 5);
    assert.deepEqual(await waiting, [3]);
    eventfd.read();
    // Some of these turns are without the relay, which is still about to start, and the others with it.
    for (let turn = 0; turn < 20; turn++) {
      const wait = epoll.waitAsync();
      setImmediate(() => ffi.eventfdWrite(eventfd.fd, 1));
      assert.deepEqual(await wait, [3]);
      eventfd.read();
    }
    assert.deepEqual(epoll.wait({ timeoutMs: 20 }), []);
    assert.deepEqual(host.audit().findings, []);
  });

  it("hears of them while no relay runs, and of those that came after a kick", async () => {
    using host = Host.create({ kinds: [linuxKind()], spawn: () => ({ postMessage() {}, once() {} }) });
    using epoll = Epoll.create(host);
    using eventfd = LinuxEventfd.create(host);
    epoll.add(eventfd, { data: 3, edge: true });
    const wait = epoll.waitAsync();
    setTimeout(() => eventfd.write(), 5);
    assert.deepEqual(await wait, [3]);
    epoll.kick();
    assert.deepEqual(epoll.wait(), []);
    eventfd.write();
    assert.deepEqual([epoll.wait(), epoll.tryWait()], [[3], []]);
  });

  it("reports once more what a waiter had taken that is ended then, edges of both kinds", async () => {
    const host = make();
    const epoll = Epoll.create(host);
    const both = [Eventfd.create(host), LinuxEventfd.create(host)];
    both.forEach((eventfd, data) => {
      epoll.add(eventfd, { data, edge: true });
    });
    for (const eventfd of both) eventfd.write();
    const thread = new TestThread(new URL("./epoll-taker.js", import.meta.url), {
      host: host.handle,
      epoll: epoll.handle,
    });
    assert.deepEqual((await thread.next<number[]>()).sort(), [0, 1]);
    assert.deepEqual(epoll.tryWait(), []);
    await host.terminate(thread.worker);
    assert.deepEqual(epoll.tryWait().sort(), [0, 1]);
    assert.deepEqual(epoll.tryWait(), []);
    assert.deepEqual(host.audit().findings, []);
    for (const one of [...both, epoll]) one.close();
    host.dispose();
  });

  it("is an irqfd's loss: what a software VM's relay has read out is no event any more", async () => {
    using host = make();
    using epoll = Epoll.create(host);
    const vm = new Vm(host, { apic: false });
    using eventfd = LinuxEventfd.create(host);
    epoll.add(eventfd);
    using irqfd = vm.irqfd(eventfd, 3);
    await until("the relay runs", () => !irqfd.reasons.includes("relay-not-running"));
    eventfd.write();
    await until("the relay has taken the event", () => eventfd.count === 0n);
    assert.deepEqual(epoll.tryWait(), []);
    irqfd.dispose();
    eventfd.write();
    assert.deepEqual(epoll.wait(), [eventfd.id]);
    vm.dispose();
  });
});
