/** Linux eventfds that were made without EFD_NONBLOCK: they are read as the others are, and no read sleeps in read(2). */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Epoll, Host, Producer, Vcpu, Vm } from "irqbypass";
import { EventfdFile, LinuxEventfd, linux as linuxKind } from "irqbypass/linux";
import { noRelay } from "../support/host.js";
import { TestThread, until } from "../support/worker.js";
import { linux } from "./available.js";
import type { KickWork } from "./kick-worker.js";
import type { ReadingWork } from "./reading-worker.js";

const CAPACITY = { thread: 16, eventfd: 16 };
const PATIENCE_MS = 20_000;
const GSI = 24;
const F_SETFL = 4;

/** A host of whose eventfds no read(2) of this thread takes a count: it might sleep. */
function makeHost(options: { readonly relay?: boolean } = {}) {
  const kind = linuxKind();
  const host = Host.create({
    kinds: [kind],
    capacity: CAPACITY,
    ...(options.relay === true ? {} : { spawn: noRelay }),
  });
  const ffi = kind.ffi();
  const { read } = ffi;
  const forbidden = new Set<number>();
  ffi.read = (fd, buffer) => {
    assert.ok(!forbidden.has(fd), "read(2) of an eventfd that blocks");
    return read(fd, buffer);
  };
  const create = (semaphore: boolean, count = 0) => {
    const eventfd = LinuxEventfd.create(host, { nonblocking: false, semaphore, count });
    forbidden.add(eventfd.fd);
    return eventfd;
  };
  return { host, ffi, create, [Symbol.dispose]: () => host.dispose() };
}

describe("a Linux eventfd that was made blocking", linux, () => {
  for (const semaphore of [false, true])
    describe(semaphore ? "a semaphore" : "a counter", () => {
      const three = semaphore ? [1n, 1n, 1n] : [3n];

      it("is read without sleeping where there is nothing", () => {
        using made = makeHost();
        const { create } = made;
        using eventfd = create(semaphore);
        assert.deepEqual([eventfd.tryRead(), eventfd.read({ timeoutMs: 10 })], [undefined, undefined]);
        eventfd.write(3);
        assert.deepEqual(
          three.map(() => eventfd.tryRead()),
          three,
        );
        eventfd.write(3);
        assert.deepEqual(
          three.map(() => eventfd.read()),
          three,
        );
        assert.deepEqual([eventfd.tryRead(), eventfd.count], [undefined, 0n]);
      });

      it("hears of a kick, before and while it is read", async () => {
        using made = makeHost();
        const { host, create } = made;
        using eventfd = create(semaphore);
        eventfd.kick();
        assert.equal(eventfd.read(), undefined);
        eventfd.kick();
        assert.equal(await eventfd.readAsync(), undefined);
        const waiting = eventfd.readAsync();
        eventfd.kick();
        assert.equal(await waiting, undefined);
        const reader = new TestThread(new URL("./reading-worker.js", import.meta.url), {
          host: host.handle,
          eventfd: eventfd.handle,
        } satisfies ReadingWork);
        assert.equal(await reader.next(), "ready");
        eventfd.kick();
        assert.equal(await reader.next(), undefined);
        await reader.done;
      });

      it("is read without blocking the thread", async () => {
        using made = makeHost({ relay: true });
        const { create } = made;
        using eventfd = create(semaphore);
        assert.equal(await eventfd.readAsync({ timeoutMs: 1 }), undefined);
        const waiting = eventfd.readAsync({ timeoutMs: PATIENCE_MS });
        eventfd.write(3);
        assert.equal(await waiting, three[0]);
        while (eventfd.tryRead() !== undefined);
        const stop = new AbortController();
        const given = eventfd.readAsync({ signal: stop.signal });
        stop.abort(new Error("enough"));
        await assert.rejects(given, /enough/);
      });

      it("gives each count to one of several readers, and a kick to each of the others", async () => {
        using made = makeHost();
        const { host, create } = made;
        using eventfd = create(semaphore);
        const writes = 2_000;
        const readers = await Promise.all(
          [1, 2, 3].map(async () => {
            const { handle } = eventfd;
            const work: KickWork = { host: host.handle, eventfd: handle, act: "read" };
            const thread = new TestThread(new URL("./kick-worker.js", import.meta.url), work);
            assert.equal(await thread.next(), "ready");
            return thread;
          }),
        );
        for (let round = 0; round < writes; round++) eventfd.write();
        await until("all is read", () => eventfd.count === 0n);
        const said = readers.map((thread) => thread.next<number>());
        let all: readonly number[] | undefined;
        void Promise.all(said).then((counts) => {
          all = counts;
        });
        await until("each has heard of one", () => {
          if (all === undefined) eventfd.kick();
          return all !== undefined;
        });
        assert.equal(
          all!.reduce((sum, count) => sum + count, 0),
          writes,
        );
        await Promise.all(readers.map(({ done }) => done));
      });

      it("is an interrupt of a software VM by whoever comes to it, and is told from what has been one", () => {
        using made = makeHost();
        const { host, create } = made;
        const vm = new Vm(host);
        const route = () => vm.setGsiRouting([{ gsi: GSI, msi: { vcpu: 0, vector: 0x41 } }]);
        route();
        const vcpu = Vcpu.open(host, vm.vcpu(0).handle);
        const interrupts = () => {
          let count = 0;
          for (; vcpu.acknowledge() !== undefined; count++) vcpu.eoi();
          return count;
        };
        using eventfd = create(semaphore, 3);
        const irqfd = vm.irqfd(eventfd, GSI);
        eventfd.write(); // in turn: whose that is says another word than what has been an interrupt
        eventfd.signal();
        assert.deepEqual([eventfd.tryRead(), interrupts()], [semaphore ? 1n : undefined, 1]);
        const left = eventfd.count;
        assert.equal(left, semaphore ? 3n : 0n);
        eventfd.write();
        vm.setGsiRouting([]); // by the route of before
        assert.deepEqual([interrupts(), eventfd.count], [1, left]);
        route();
        eventfd.signal();
        irqfd.dispose();
        assert.deepEqual(
          [interrupts(), eventfd.count],
          [1, semaphore ? 2n : 0n],
          "read out, of a semaphore one unit",
        );
        vcpu.put();
        vm.dispose();
      });

      it("is reported by an epoll", () => {
        using made = makeHost();
        const { host, create } = made;
        using eventfd = create(semaphore);
        using epoll = Epoll.create(host);
        epoll.add(eventfd, { data: 7 });
        assert.deepEqual(epoll.tryWait(), []);
        eventfd.write();
        assert.deepEqual([epoll.wait(), eventfd.tryRead(), epoll.tryWait()], [[7], 1n, []]);
      });
    });

  it("is not written to in a callback where there is no room, which would sleep there", () => {
    let write = () => {};
    const addConsumer = () => {
      write();
      return undefined;
    };
    const host = Host.create({
      kinds: [linuxKind(), { name: "k", producer: { addConsumer } }],
      capacity: CAPACITY,
      spawn: noRelay,
    });
    const vm = new Vm(host);
    const [full, source] = [LinuxEventfd.create(host, { nonblocking: false }), LinuxEventfd.create(host)];
    full.write(2n ** 64n - 2n);
    vm.irqfd(source, GSI);
    let refused: unknown;
    write = () => {
      try {
        full.write();
      } catch (error) {
        refused = (error as { code: string }).code;
      }
    };
    const producer = Producer.create(host, "k");
    producer.register(source);
    assert.equal(refused, "EDEADLK");
    producer.dispose();
    vm.dispose();
    for (const eventfd of [full, source]) eventfd.close();
    host.dispose();
  });

  it("is refused where the kernel reads it in no other way, with nothing left behind", async () => {
    for (const answer of [-95, -38]) {
      using made = makeHost();
      const { host, ffi, create } = made;
      const { syscall } = ffi;
      ffi.syscall = () => answer; // Linux before 5.8
      using eventfd = create(false);
      const vm = new Vm(host);
      const refusal = {
        code: "EINVAL",
        message: /eventfd \d+ was made without EFD_NONBLOCK.*make it non-blocking/,
      };
      for (const call of [() => eventfd.tryRead(), () => eventfd.read(), () => vm.irqfd(eventfd, GSI)])
        assert.throws(call, refusal);
      await assert.rejects(eventfd.readAsync(), refusal);
      assert.equal(host.pools.consumer.live, 0);
      eventfd.write(3);
      assert.equal(eventfd.count, 3n);
      ffi.syscall = syscall;
      assert.equal(eventfd.tryRead(), 3n);
      vm.dispose();
    }
  });

  it("is read as one also where somebody has made it so since, once the host hears of that", () => {
    for (const hears of ["adopts it", "assigns it"]) {
      using made = makeHost();
      const { host, ffi } = made;
      using file = EventfdFile.create(ffi);
      using eventfd = LinuxEventfd.adopt(host, file.fd);
      assert.equal(ffi.fcntl(file.fd, F_SETFL, 0), 0);
      const vm = new Vm(host);
      if (hears === "adopts it") LinuxEventfd.adopt(host, file.fd).close();
      else vm.irqfd(eventfd, GSI);
      assert.equal(eventfd.tryRead(), undefined);
      vm.dispose();
      assert.equal(eventfd.tryRead(), undefined);
      eventfd.close();
    }
  });
});
