// Where the system does not know a thread, the lock of its life proves its end, and nothing else does.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Eventfd, Host, Vcpu, VfioPciDevice, Vm } from "irqbypass";
import { Header, LifeLock, Thread, ThreadState } from "#src/host/layout.js";
import { lockOf } from "#src/host/life-lock.js";
import { noRelay, SMALL } from "../support/host.js";
import { PageLocks, PageThread } from "../support/locks.js";
import { until } from "../support/worker.js";

function page(mayBlock = true) {
  const locks = new PageLocks();
  const main = new PageThread(locks, mayBlock);
  const host = Host.create({ capacity: SMALL, platform: main.platform, spawn: noRelay, name: "main" });
  const join = (name: string) => {
    const thread = new PageThread(locks);
    return { thread, host: Host.attach(host.handle, { platform: thread.platform, name }) };
  };
  return { locks, main, host, join };
}

const proofOf = (host: Host, name: string) => host.threads().find((thread) => thread.name === name)?.proof;

describe("a thread of a page", () => {
  for (const mayBlock of [true, false])
    it(`that ends is repaired after by itself, by a creator that may ${mayBlock ? "" : "not "}block`, async () => {
      const { host, join } = page(mayBlock);
      const vm = new Vm(host);
      vm.setGsiRouting([{ gsi: 24, msi: { vcpu: 0, vector: 0x41 } }]);
      const eventfd = Eventfd.create(host);
      const irqfd = vm.irqfd(eventfd, 24);
      const device = join("device");
      const nic = new VfioPciDevice(device.host, { msix: 1 });
      nic.setTrigger("msix", 0, Eventfd.open(device.host, eventfd.handle));
      await until("its end would be proven", () => proofOf(host, "device") === "lock");
      assert.equal(await device.host.provable(), true);
      // In the middle of everything: with the host mutex, and a signal under way.
      host.words.store(device.host.thread.record + Thread.signalling, eventfd.record);
      host.words.store(Header.mutex, device.host.thread.lockId << 1);
      device.thread.end();
      // By a look that takes no mutex, as no call of a thread that blocks would be over before the proof comes.
      const { record } = device.host.thread;
      await until("its record is free", () => host.words.load(record + Thread.state) === ThreadState.free);
      assert.deepEqual(irqfd.reasons, ["relay-not-running", "thread-died", "no-producer"]);
      assert.equal(proofOf(host, "device"), undefined);
      assert.deepEqual(host.audit().findings, []);
      irqfd.dispose();
      vm.dispose();
      eventfd.close();
      host.dispose();
    });

  it("that has its lock is not said to be lost by anybody", async () => {
    const { host, join } = page();
    const { host: other } = join("other");
    const id = other.threadId;
    await until("it has its lock", () => proofOf(host, "other") === "lock");
    assert.throws(() => host.threadLost(id), /^IrqBypassError: EBUSY: thread 1 is alive/);
    other.dispose();
    assert.equal(host.threadLost(id), false);
    host.dispose();
  });

  it("that leaves is no death, and its record's next thread is not taken for it", async () => {
    const { locks, host, join } = page();
    for (let time = 0; time < 20; time++) {
      const { host: other } = join(`thread ${time}`);
      assert.equal(other.threadId, 1);
      if (time % 2 === 0) await other.provable();
      Eventfd.create(other).close();
      other.dispose();
    }
    const { host: last } = join("last");
    await until("the last has its lock", () => proofOf(host, "last") === "lock");
    await new Promise((resolve) => setTimeout(resolve, 20));
    assert.equal(proofOf(host, "last"), "lock");
    assert.deepEqual(host.audit().findings, []);
    last.dispose();
    host.dispose();
    assert.equal(locks.requests, 0, "nobody asks for a lock any more");
  });

  it("that blocks as soon as it has attached is looked up, and its end proven", async () => {
    const { host, join } = page();
    const { thread, host: other } = join("blocked");
    thread.block();
    const { record } = other.thread;
    assert.equal(lockOf(host.words, record), LifeLock.asked);
    await until("it was looked up", () => proofOf(host, "blocked") === "lock");
    thread.end();
    await until("it is repaired after", () => proofOf(host, "blocked") === undefined);
    host.dispose();
  });

  it("that ends before it had its lock proves nothing, and then it can be said", async () => {
    const { host, join } = page();
    const { thread, host: other } = join("early");
    const id = other.threadId;
    thread.end();
    await new Promise((resolve) => setTimeout(resolve, 20));
    assert.equal(proofOf(host, "early"), "none");
    assert.equal(host.threadLost(id), true);
    assert.deepEqual(host.audit().findings, []);
    host.dispose();
  });

  it("that created the host is repaired after by the others, and what it watched has no proof then", async () => {
    const { host, main, join } = page();
    const [first, second] = [join("first"), join("second")];
    const vm = new Vm(host);
    const vcpu = Vcpu.open(first.host, vm.vcpu(0).handle);
    await until("they have their locks", () =>
      ["main", "first", "second"].every((name) => proofOf(first.host, name) === "lock"),
    );
    (host as unknown as { deaths: { over: boolean } }).deaths.over = true; // its code runs on, and is to do nothing
    main.end();
    await until("it is repaired after", () => proofOf(first.host, "main") === undefined);
    assert.equal(first.host.words.load(Header.watcher), 0);
    assert.equal(proofOf(first.host, "second"), "none");
    second.thread.end();
    assert.equal(first.host.threadLost(second.host.threadId), true);
    vcpu.put();
    assert.deepEqual(first.host.audit().findings, []);
    first.host.dispose();
  });

  it("is called what it was given, or what the platform calls it", () => {
    const { main, host } = page();
    const named = Host.attach(host.handle, { platform: { ...main.platform, threadName: "by its platform" } });
    const names = host.threads().map(({ name }) => name);
    assert.deepEqual(names, ["main", "by its platform"]);
    assert.throws(() => Host.attach(host.handle, { name: "x".repeat(25) }), /EINVAL: name is/);
    named.dispose();
    host.dispose();
  });
});
