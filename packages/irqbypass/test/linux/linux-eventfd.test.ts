import assert from "node:assert/strict";
import { once } from "node:events";
import { closeSync, openSync } from "node:fs";
import { describe, it } from "node:test";
import { Worker } from "node:worker_threads";
import { type HostOptions, Producer } from "irqbypass";
import { Eventfd } from "#src/eventfd/eventfd.js";
import { relayRuns } from "#src/eventfd/relay-state.js";
import { LinuxEventfd } from "#src/linux/eventfd.js";
import { EventfdFile, type EventfdFileOptions } from "#src/linux/eventfd-file.js";
import { linux as linuxKind } from "#src/linux/kind.js";
import { loadFfi } from "#src/linux/koffi.js";
import { Host } from "#src/vm/host.js";
import type { Irqfd } from "#src/vm/irqfd.js";
import { Vcpu } from "#src/vm/vcpu.js";
import { Vm } from "#src/vm/vm.js";
import { noRelay, whyRelayed } from "../support/host.js";
import { TestThread, until } from "../support/worker.js";
import { linux } from "./available.js";
import { openDescriptors, settledDescriptors } from "./descriptors.js";
import type { ReadingWork } from "./reading-worker.js";

const CAPACITY = { eventfd: 64, producer: 64, consumer: 64, vm: 8, vcpu: 16, route: 256, routing: 16 };
/** A bound against hangs, not a time that is measured. */
const PATIENCE_MS = 20_000;

const makeHost = () => Host.create({ kinds: [linuxKind()], capacity: CAPACITY });

describe("a Linux eventfd of a host", linux, () => {
  const ffi = linux.skip === false ? loadFfi() : undefined!;

  it("is one token for all descriptors of one eventfd", () => {
    using host = makeHost();
    using file = EventfdFile.create(ffi);
    using again = EventfdFile.dup(ffi, file.fd);
    using first = LinuxEventfd.adopt(host, file.fd);
    using second = LinuxEventfd.adopt(host, again.fd);
    using opened = LinuxEventfd.open(host, first.handle);
    using other = LinuxEventfd.create(host);
    assert.deepEqual([second.record, opened.record], [first.record, first.record]);
    assert.notEqual(other.record, first.record);
    assert.equal(first.kernelId, file.id);
    assert.equal(first.fd, second.fd, "the host holds one descriptor, however often it is adopted");
    again.write(5);
    assert.equal(opened.tryRead(), 5n);
  });

  it("is the same token in another thread", async () => {
    using host = makeHost();
    using file = EventfdFile.create(ffi);
    using mine = LinuxEventfd.adopt(host, file.fd);
    const worker = new Worker(new URL("./eventfd-worker.js", import.meta.url), {
      workerData: { host: host.handle, fd: file.fd, handle: mine.handle },
    });
    let theirs: number | undefined;
    worker.once("message", ([record]: number[]) => {
      theirs = record;
    });
    await once(worker, "exit");
    assert.equal(theirs, mine.record);
    assert.equal(mine.tryRead(), 7n, "4 through the handle, 3 through the adopted descriptor");
  });

  it("is not mistaken for the eventfd that takes over its descriptor number", () => {
    using host = makeHost();
    const fd = ffi.eventfd(0, 0o4000);
    using old = LinuxEventfd.adopt(host, fd);
    assert.equal(ffi.close(fd), 0);
    const reused = ffi.eventfd(0, 0o4000);
    try {
      assert.equal(reused, fd, "the kernel gives the lowest free number");
      using now = LinuxEventfd.adopt(host, reused);
      assert.notEqual(now.record, old.record);
      assert.notEqual(now.kernelId, old.kernelId);
      now.write(3);
      assert.deepEqual([old.count, now.count], [0n, 3n]);
      old.write(9);
      assert.deepEqual([old.count, now.count], [9n, 3n]);
    } finally {
      ffi.close(reused);
    }
  });

  // Each begins with what is open once no thread of a test before it closes its own any more.
  it("is gone with its last handle, and a stale handle is refused", async () => {
    using host = makeHost();
    const before = await settledDescriptors();
    const first = LinuxEventfd.create(host);
    const { handle } = first;
    const second = LinuxEventfd.open(host, handle);
    first.close();
    first.close();
    assert.throws(() => first.write(), { code: "EBADF", message: /closed through this handle/ });
    assert.throws(() => first.fd, { code: "EBADF" });
    second.write();
    assert.equal(second.tryRead(), 1n);
    second.close();
    assert.throws(() => LinuxEventfd.open(host, handle), { code: "ESTALE" });
    assert.deepEqual(openDescriptors(), before);
    assert.equal(host.pools.eventfd.live, 0);
  });

  it("refuses what is no eventfd, and leaves nothing behind", async () => {
    using host = makeHost();
    const fd = openSync("/dev/null", "r");
    const before = await settledDescriptors();
    assert.throws(() => LinuxEventfd.adopt(host, fd), { code: "EINVAL", message: /is not an eventfd/ });
    assert.deepEqual(openDescriptors(), before);
    closeSync(fd);
    for (const bad of [fd, -1, 0.5, Number.NaN])
      assert.throws(() => LinuxEventfd.adopt(host, bad), { code: "EBADF" }, String(bad));
    assert.throws(() => LinuxEventfd.create(host, { count: -1 }), { code: "EINVAL" });
    assert.equal(host.pools.eventfd.live, 0);
  });

  it("that does not fit leaves no descriptor, and room comes back", async () => {
    using host = Host.create({ kinds: [linuxKind()], capacity: { ...CAPACITY, eventfd: 2 } });
    using _one = LinuxEventfd.create(host);
    const two = LinuxEventfd.create(host);
    const before = await settledDescriptors();
    assert.throws(() => LinuxEventfd.create(host), {
      code: "ENOMEM",
      message: /capacity\.eventfd is 2, and all are in use/,
    });
    assert.deepEqual(openDescriptors(), before);
    two.close();
    using _three = LinuxEventfd.create(host);
  });

  it("and a shared one are not taken for each other", () => {
    using host = makeHost();
    using real = LinuxEventfd.create(host);
    using shared = Eventfd.create(host);
    assert.throws(() => Eventfd.open(host, real.handle), { code: "EINVAL", message: /LinuxEventfd\.open/ });
    assert.throws(() => LinuxEventfd.open(host, shared.handle), { code: "EINVAL", message: /Eventfd\.open/ });
    using plain = Host.create({ capacity: CAPACITY });
    assert.throws(() => LinuxEventfd.create(plain), { code: "EINVAL", message: /kinds: \[linux\(\)\]/ });
  });

  it("counts as the kernel does, to its last value", () => {
    using host = makeHost();
    using eventfd = LinuxEventfd.create(host, { count: 2 });
    eventfd.write(0);
    eventfd.write(2n ** 40n);
    eventfd.signal();
    assert.equal(eventfd.count, 2n ** 40n + 3n);
    assert.equal(eventfd.tryRead(), 2n ** 40n + 3n);
    assert.equal(eventfd.tryRead(), undefined);
    eventfd.write(2n ** 64n - 2n);
    assert.throws(() => eventfd.write(), { code: "EAGAIN", message: /read it first/ });
    eventfd.signal(); // a device is never refused
    for (const bad of [-1, 1.5, Number.NaN, -1n, 2n ** 64n - 1n])
      assert.throws(() => eventfd.write(bad), { code: "EINVAL" }, String(bad));
    assert.equal(eventfd.read({ timeoutMs: 0 }), 2n ** 64n - 2n);
  });

  it("as a semaphore gives one at a time", () => {
    using host = makeHost();
    using eventfd = LinuxEventfd.create(host, { count: 2, semaphore: true });
    assert.equal(eventfd.semaphore, true);
    assert.deepEqual([eventfd.tryRead(), eventfd.read(), eventfd.tryRead()], [1n, 1n, undefined]);
  });

  it("waits with a time limit, and without blocking the thread", async () => {
    using host = makeHost();
    using eventfd = LinuxEventfd.create(host);
    for (const timeoutMs of [-1, 0, 1]) {
      assert.equal(eventfd.read({ timeoutMs }), undefined);
      assert.equal(await eventfd.readAsync({ timeoutMs }), undefined);
    }
    const waiting = eventfd.readAsync({ timeoutMs: PATIENCE_MS });
    eventfd.write(6);
    assert.equal(await waiting, 6n);
    const stop = new AbortController();
    const given = eventfd.readAsync({ signal: stop.signal });
    stop.abort(new Error("enough"));
    await assert.rejects(given, /enough/);
    await assert.rejects(eventfd.readAsync({ signal: stop.signal }), /enough/);
    assert.equal(eventfd.count, 0n);
  });

  it("is waited for without a descriptor of its own", async () => {
    using host = makeHost();
    using eventfd = LinuxEventfd.create(host);
    const first = eventfd.readAsync({ timeoutMs: PATIENCE_MS });
    await until("the relay runs", () => relayRuns(host.words, 1));
    const before = await settledDescriptors(1);
    const others = Array.from({ length: 50 }, () => eventfd.readAsync({ timeoutMs: PATIENCE_MS }));
    assert.deepEqual(openDescriptors(), before);
    const readers = [first, ...others];
    for (let left = readers.length; left > 0; left--) {
      eventfd.write(1);
      const read = await Promise.race(readers.map(async (reader) => [await reader, reader] as const));
      assert.equal(read[0], 1n);
      readers.splice(readers.indexOf(read[1]), 1);
    }
    assert.deepEqual(openDescriptors(), before);
  });

  it("hears of a kick, before, while it waits, and in another thread", async () => {
    using host = makeHost();
    using eventfd = LinuxEventfd.create(host);
    eventfd.kick();
    assert.equal(eventfd.read({ timeoutMs: PATIENCE_MS }), undefined);
    eventfd.kick();
    assert.equal(await eventfd.readAsync({ timeoutMs: PATIENCE_MS }), undefined);
    const waiting = eventfd.readAsync({ timeoutMs: PATIENCE_MS });
    eventfd.kick();
    assert.equal(await waiting, undefined);
    eventfd.kick();
    eventfd.write(2);
    assert.deepEqual([eventfd.read(), eventfd.read()], [2n, undefined]);
    const start = performance.now();
    const reader = new TestThread(new URL("./reading-worker.js", import.meta.url), {
      host: host.handle,
      eventfd: eventfd.handle,
    } satisfies ReadingWork);
    assert.equal(await reader.next(), "ready");
    eventfd.kick();
    assert.equal(await reader.next(), undefined);
    assert.ok(performance.now() - start < PATIENCE_MS, "it was the kick that ended it");
    await reader.done;
  });
});

for (const nonblocking of [true, false])
  describe(
    `a software VM that listens to a Linux eventfd ${nonblocking ? "" : "that was made blocking"}`,
    linux,
    () => {
      const ffi = linux.skip === false ? loadFfi() : undefined!;
      const create = (host: Host, options: EventfdFileOptions = {}) =>
        LinuxEventfd.create(host, { nonblocking, ...options });

      function setUp(options: HostOptions = {}) {
        const host = Host.create({ kinds: [linuxKind()], capacity: CAPACITY, ...options });
        const vm = new Vm(host);
        vm.setGsiRouting([{ gsi: 24, msi: { vcpu: 0, vector: 0x41 } }]);
        const vcpu = Vcpu.open(host, vm.vcpu(0).handle);
        return {
          host,
          vm,
          vcpu,
          /** Waits for one interrupt, serves it, and returns its vector. */
          async serve(): Promise<number | undefined> {
            assert.equal(await vcpu.waitAsync({ timeoutMs: PATIENCE_MS }), "interrupt");
            const vector = vcpu.acknowledge();
            vcpu.eoi();
            return vector;
          },
          [Symbol.dispose]() {
            vcpu.put();
            vm.dispose();
            host.dispose();
          },
        };
      }

      it("gets one interrupt for each write, of the largest value too", async () => {
        using t = setUp();
        using eventfd = create(t.host);
        using irqfd = t.vm.irqfd(eventfd, 24);
        assert.deepEqual([irqfd.path, whyRelayed(irqfd)], ["relayed", "no-producer"]);
        for (const value of [1, 7, 2n ** 64n - 2n, ...Array.from({ length: 200 }, () => 1)]) {
          eventfd.write(value);
          assert.equal(await t.serve(), 0x41);
          assert.equal(t.vcpu.pending(), false);
        }
        assert.equal(eventfd.count, 0n, "the relay took each count");
      });

      it("hears of a write of 0 only above a count that is there: epoll is silent at 0", async () => {
        using t = setUp();
        using eventfd = create(t.host, { count: 1 });
        using _irqfd = t.vm.irqfd(eventfd, 24);
        assert.equal(await t.serve(), 0x41, "the count of before");
        eventfd.write(0);
        assert.equal(await t.serve(), 0x41);
        assert.equal(eventfd.count, 0n);
        eventfd.write(0);
        assert.equal(await t.vcpu.waitAsync({ timeoutMs: 50 }), "timeout", "a limit that the documents name");
        eventfd.write();
        assert.equal(await t.serve(), 0x41);
        assert.equal(t.vcpu.pending(), false);
      });

      it("hears of writes through any descriptor", async () => {
        using t = setUp();
        using file = EventfdFile.create(ffi, { nonblocking });
        using eventfd = LinuxEventfd.adopt(t.host, file.fd);
        using _irqfd = t.vm.irqfd(eventfd, 24);
        file.write();
        assert.equal(await t.serve(), 0x41);
      });

      it("gets one interrupt for a count that was there, which stays until the next signal", async () => {
        using t = setUp();
        using eventfd = create(t.host, { count: 4 });
        using _irqfd = t.vm.irqfd(eventfd, 24);
        assert.equal(await t.serve(), 0x41);
        assert.equal(eventfd.count, 4n);
        eventfd.write(2);
        assert.equal(await t.serve(), 0x41);
        assert.equal(eventfd.count, 0n);
      });

      it("has what was written before who reads, though no relay runs", () => {
        using t = setUp({ spawn: noRelay });
        const got = () => {
          const vector = t.vcpu.acknowledge();
          t.vcpu.eoi();
          return vector;
        };
        using plain = create(t.host, { count: 4 });
        using irqfd = t.vm.irqfd(plain, 24);
        assert.deepEqual(
          [plain.tryRead(), got(), got()],
          [4n, 0x41, undefined],
          "the count of before is both",
        );
        plain.write(3);
        assert.deepEqual([plain.tryRead(), got(), plain.count], [undefined, 0x41, 0n]);
        assert.deepEqual([plain.read({ timeoutMs: 0 }), got()], [undefined, undefined]);
        plain.write();
        irqfd.dispose();
        assert.deepEqual([got(), plain.tryRead()], [0x41, undefined]);

        using semaphore = create(t.host, { count: 2, semaphore: true });
        using _other = t.vm.irqfd(semaphore, 24);
        assert.deepEqual([semaphore.tryRead(), got(), semaphore.count], [1n, 0x41, 1n]);
        semaphore.write(2); // one signal, which takes one unit
        assert.deepEqual([semaphore.tryRead(), got(), semaphore.count], [1n, 0x41, 1n]);
        assert.deepEqual([semaphore.tryRead(), semaphore.tryRead(), got()], [1n, undefined, undefined]);
      });

      it("refuses a read in a callback while it listens, where it could not deliver what is found", () => {
        let read = () => {};
        const addConsumer = () => {
          read();
          return undefined;
        };
        using t = setUp({ spawn: noRelay, kinds: [linuxKind(), { name: "k", producer: { addConsumer } }] });
        using eventfd = create(t.host);
        using other = create(t.host);
        using _irqfd = t.vm.irqfd(eventfd, 24);
        using _ends = t.vm.irqfd(other, 24);
        eventfd.write();
        const refused: unknown[] = [];
        read = () => {
          try {
            refused.push(eventfd.tryRead());
          } catch (error) {
            refused.push((error as { code: string }).code);
          }
        };
        using producer = Producer.create(t.host, "k");
        producer.register(other);
        assert.deepEqual(refused, ["EDEADLK"]);
        assert.deepEqual([eventfd.tryRead(), t.vcpu.acknowledge()], [undefined, 0x41]);
      });

      it("takes one unit of a semaphore for each signal", async () => {
        using t = setUp();
        using eventfd = create(t.host, { count: 4, semaphore: true });
        const irqfd = t.vm.irqfd(eventfd, 24);
        assert.equal(await t.serve(), 0x41);
        eventfd.write(2);
        assert.equal(await t.serve(), 0x41);
        assert.equal(eventfd.count, 5n);
        irqfd.dispose();
        assert.equal(eventfd.count, 4n);
      });

      it("after deassign has read the counter out, and hears no more", async () => {
        using t = setUp();
        using eventfd = create(t.host, { count: 3 });
        const irqfd = t.vm.irqfd(eventfd, 24);
        assert.equal(await t.serve(), 0x41);
        assert.equal(t.vm.deassign(eventfd, 25), false, "the pair decides");
        assert.equal(t.vm.deassign(eventfd, 24), true);
        assert.equal(eventfd.count, 0n);
        assert.throws(() => irqfd.path, { code: "EBADF" });
        eventfd.write(2);
        assert.equal(await t.vcpu.waitAsync({ timeoutMs: 50 }), "timeout");
        assert.equal(eventfd.tryRead(), 2n);
        using again = t.vm.irqfd(eventfd, 24);
        eventfd.write();
        assert.equal(await t.serve(), 0x41);
        assert.equal(again.gsi, 24);
      });

      const ends = {
        "a deassign": ({ vm }, eventfd) => void vm.deassign(eventfd, 24),
        "the end of the irqfd": (_, __, irqfd) => irqfd.dispose(),
        "the last close": (_, eventfd) => eventfd.close(),
      } satisfies Record<string, (t: { vm: Vm }, eventfd: LinuxEventfd, irqfd: Irqfd) => void>;
      for (const [name, end] of Object.entries(ends)) {
        it(`makes a write that the relay has not come to an interrupt at ${name}`, () => {
          using t = setUp();
          for (let round = 0; round < 50; round++) {
            using eventfd = create(t.host);
            const irqfd = t.vm.irqfd(eventfd, 24);
            eventfd.write(2);
            end(t, eventfd, irqfd);
            assert.equal(t.vcpu.acknowledge(), 0x41, `round ${round}`);
            t.vcpu.eoi();
            if (!eventfd.closed) assert.equal(eventfd.count, 0n);
          }
        });
      }

      it("takes for signals at a deassign what has not been an interrupt yet, and nothing else", async () => {
        using t = setUp();
        const interrupts = () => {
          let taken = 0;
          for (; t.vcpu.acknowledge() !== undefined; taken++) t.vcpu.eoi();
          return taken;
        };
        for (const { semaphore, writes, reads, wanted, left } of [
          { semaphore: false, writes: 0, reads: false, wanted: 0, left: 0n },
          { semaphore: false, writes: 1, reads: false, wanted: 1, left: 0n },
          // What the reader took had been an interrupt; as much was written again, and is new.
          { semaphore: false, writes: 3, reads: true, wanted: 1, left: 0n },
          { semaphore: true, writes: 0, reads: false, wanted: 0, left: 2n },
          { semaphore: true, writes: 1, reads: false, wanted: 1, left: 2n },
        ]) {
          using eventfd = create(t.host, { count: 3, semaphore });
          const irqfd = t.vm.irqfd(eventfd, 24);
          assert.equal(await t.serve(), 0x41, "the count of before");
          assert.equal(interrupts(), 0);
          if (reads) assert.equal(eventfd.tryRead(), 3n);
          // Both before this thread lets the relay come to them.
          if (writes > 0) eventfd.write(writes);
          irqfd.dispose();
          const what = `semaphore ${semaphore}, ${writes} written, ${reads ? "" : "not "}read`;
          assert.equal(interrupts(), wanted, what);
          assert.equal(eventfd.count, left, what);
        }
      });

      it("has the eventfd alone, through any dup, until its last handle is closed", () => {
        using t = setUp();
        using file = EventfdFile.create(ffi, { nonblocking });
        const one = LinuxEventfd.adopt(t.host, file.fd);
        const two = LinuxEventfd.adopt(t.host, file.fd);
        using other = new Vm(t.host);
        const irqfd = t.vm.irqfd(one, 24);
        assert.throws(() => other.irqfd(two, 24), { code: "EBUSY", message: /has an irqfd already/ });
        one.close();
        assert.equal(irqfd.gsi, 24, "a dup keeps it");
        two.close();
        assert.throws(() => irqfd.gsi, { code: "EBADF" }, "closing the last handle is the hang-up");
        assert.equal(t.host.pools.consumer.live, 0);
        // A write through the caller's own descriptor is only counted now.
        file.write();
        assert.equal(file.count, 1n);
        using three = LinuxEventfd.adopt(t.host, file.fd);
        other.irqfd(three, 24);
      });
    },
  );
