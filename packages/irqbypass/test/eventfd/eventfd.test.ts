/** Shared eventfds: what a Linux program would see of its own. */
import assert from "node:assert/strict";
import { beforeEach, describe, it } from "node:test";
import { Eventfd, type EventfdOptions, Host, MAX_COUNT, Vm } from "irqbypass";
import { liveRecords, smallHost } from "../support/host.js";
import { PATIENCE_MS, TestThread } from "../support/worker.js";
import type { ReaderWork } from "./reader-worker.js";

let host: Host;
beforeEach(() => {
  host = smallHost();
});

const make = (options?: EventfdOptions) => Eventfd.create(host, options);
/** One at its maximum. */
function full(): Eventfd {
  const eventfd = make();
  eventfd.write(MAX_COUNT);
  return eventfd;
}

describe("an eventfd", () => {
  it("adds what is written, and a read takes all of it", () => {
    const eventfd = make({ initial: 3 });
    eventfd.write();
    eventfd.write(5);
    eventfd.write(2n ** 40n);
    assert.equal(eventfd.count, 2n ** 40n + 9n);
    assert.equal(eventfd.tryRead(), 2n ** 40n + 9n);
    assert.equal(eventfd.tryRead(), undefined);
    assert.equal(eventfd.count, 0n);
  });

  it("as a semaphore gives one unit at a time", () => {
    const eventfd = make({ initial: 2, semaphore: true });
    assert.equal(eventfd.semaphore, true);
    assert.deepEqual([eventfd.tryRead(), eventfd.tryRead(), eventfd.tryRead()], [1n, 1n, undefined]);
  });

  it("starts with any 32-bit count, and no other", () => {
    assert.equal(make({ initial: 2 ** 32 - 1 }).count, 2n ** 32n - 1n);
    for (const initial of [-1, 2 ** 32, 0.5, Number.NaN, "1" as unknown as number]) {
      assert.throws(() => make({ initial }), { code: "EINVAL", message: /a count from 0 to 2\^32-1/ });
    }
    assert.equal(host.pools.eventfd.live, 1);
  });

  it("refuses to write 2^64-1 and what is no count with EINVAL", () => {
    const eventfd = make();
    for (const value of [2n ** 64n - 1n, -1, -1n, 0.5, Number.NaN, 2 ** 53, "1" as unknown as number]) {
      assert.throws(() => eventfd.write(value), { code: "EINVAL", message: /write 0 to 2\^64-2/ });
    }
    assert.equal(eventfd.count, 0n);
  });

  it("refuses a write that would overflow with EAGAIN, and keeps its count", () => {
    const eventfd = full();
    assert.equal(eventfd.count, 2n ** 64n - 2n);
    for (const value of [1, 2n ** 40n, MAX_COUNT]) {
      assert.throws(() => eventfd.write(value), {
        code: "EAGAIN",
        errno: -11,
        message: /is full: read it first/,
      });
    }
    eventfd.write(0); // always fits
    assert.equal(eventfd.tryRead(), 2n ** 64n - 2n);
    eventfd.write(MAX_COUNT - 1n);
    eventfd.write(1);
    assert.equal(eventfd.count, MAX_COUNT);
  });

  it("saturates at 2^64-1 when a device signals it, and stays there", () => {
    const eventfd = full();
    eventfd.signal();
    assert.equal(eventfd.count, 2n ** 64n - 1n);
    eventfd.signal();
    assert.equal(eventfd.count, 2n ** 64n - 1n);
    assert.throws(() => eventfd.write(0), { code: "EAGAIN" });
    assert.equal(eventfd.tryRead(), 2n ** 64n - 1n);
    eventfd.signal();
    assert.equal(eventfd.count, 1n);
  });

  it("as a semaphore at the maximum gives one unit and takes one again", () => {
    const eventfd = make({ semaphore: true });
    eventfd.write(MAX_COUNT);
    eventfd.signal();
    assert.equal(eventfd.tryRead(), 1n);
    assert.equal(eventfd.count, MAX_COUNT);
    assert.throws(() => eventfd.write(1), { code: "EAGAIN" });
    eventfd.tryRead();
    eventfd.write(1);
    assert.equal(eventfd.count, MAX_COUNT);
  });
});

describe("a read", () => {
  it("that blocks takes what is there, or says undefined when its time is over", () => {
    const eventfd = make({ initial: 4 });
    assert.equal(eventfd.read(), 4n);
    for (const timeoutMs of [-1, 0, 5]) assert.equal(eventfd.read({ timeoutMs }), undefined);
  });

  it("that blocks in another thread is woken by a write and by a signal", async () => {
    const eventfd = make();
    const work: ReaderWork = { host: host.handle, eventfd: eventfd.handle, reads: 200 };
    const reader = new TestThread(new URL("./reader-worker.js", import.meta.url), work);
    assert.equal(await reader.next(), "ready");
    for (let i = 1; i <= 200; i++) {
      if (i % 2) eventfd.write(i);
      else eventfd.signal();
      assert.equal(await reader.next(), i % 2 ? BigInt(i) : 1n);
    }
    await reader.done;
    assert.equal(eventfd.count, 0n);
  });

  it("without blocking is woken by a write, and keeps the process alive meanwhile", async () => {
    const eventfd = make();
    const pending = eventfd.readAsync();
    setImmediate(() => eventfd.write(6)).unref();
    assert.equal(await pending, 6n);
    assert.equal(await make({ initial: 2 }).readAsync(), 2n);
    for (const timeoutMs of [-1, 0, 3]) assert.equal(await eventfd.readAsync({ timeoutMs }), undefined);
  });

  it("is ended by a kick, the present one or the next, once; what there is to read comes first", async () => {
    const eventfd = make();
    for (const read of [() => eventfd.read(), () => eventfd.readAsync()]) {
      eventfd.kick();
      eventfd.kick(); // the same kick
      assert.equal(eventfd.tryRead(), undefined); // no wait: the kick stays
      assert.equal(await read(), undefined);
      assert.equal(await eventfd.readAsync({ timeoutMs: 1 }), undefined);
      eventfd.kick();
      eventfd.write(2);
      assert.equal(await read(), 2n);
      assert.equal(await read(), undefined, "the kick is there still");
      eventfd.kick();
      assert.equal(eventfd.read({ timeoutMs: 0 }), undefined); // a wait that only looks is one
      eventfd.write(3);
      assert.equal(await read(), 3n);
    }
    assert.equal(eventfd.count, 0n);
  });

  it("is ended by a kick alone of several that wait, and each may kick on", async () => {
    const eventfd = make();
    let ended = 0;
    const waits = [1, 2, 3].map(() =>
      eventfd.readAsync({ timeoutMs: PATIENCE_MS }).then((count) => {
        assert.equal(count, undefined);
        ended += 1;
      }),
    );
    eventfd.kick();
    await Promise.race(waits);
    await new Promise((resolve) => setTimeout(resolve, 5));
    assert.equal(ended, 1);
    eventfd.kick();
    await new Promise((resolve) => setTimeout(resolve, 5));
    assert.ok(ended <= 2);
    eventfd.kick();
    while (ended < 3) {
      eventfd.kick();
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    await Promise.all(waits);
  });

  it("that blocks in another thread is ended by a kick, also one that comes before it", async () => {
    const eventfd = make();
    eventfd.kick();
    const work: ReaderWork = { host: host.handle, eventfd: eventfd.handle, reads: 50 };
    const reader = new TestThread(new URL("./reader-worker.js", import.meta.url), work);
    assert.equal(await reader.next(), "ready");
    assert.equal(await reader.next(), undefined);
    for (let i = 1; i < 50; i++) {
      if (i % 2) eventfd.kick();
      else eventfd.write(i);
      assert.equal(await reader.next(), i % 2 ? undefined : BigInt(i));
    }
    await reader.done;
  });

  it("ends with the reason of its AbortSignal, and its waiting leaves no trace", async () => {
    const eventfd = make();
    const reason = new Error("enough");
    await assert.rejects(eventfd.readAsync({ signal: AbortSignal.abort(reason) }), reason);
    const controller = new AbortController();
    const pending = eventfd.readAsync({ signal: controller.signal });
    controller.abort(reason);
    await assert.rejects(pending, reason);
    eventfd.write(1);
    assert.equal(eventfd.tryRead(), 1n);
  });

  it("of several that wait wakes all for a semaphore's units, one each", async () => {
    const eventfd = make({ semaphore: true });
    const pending = [1, 2, 3].map(() => eventfd.readAsync({ timeoutMs: PATIENCE_MS }));
    eventfd.write(3);
    assert.deepEqual(await Promise.all(pending), [1n, 1n, 1n]);
  });

  it("that waits ends with EBADF when its handle is closed, and touches the eventfd no more", async () => {
    const eventfd = make();
    const pending = eventfd.readAsync();
    eventfd.close();
    await assert.rejects(pending, { code: "EBADF" });
    assert.equal(host.pools.eventfd.live, 0);
    const next = make(); // the same record
    assert.equal(next.record, eventfd.record);
  });

  it("ends with EBADF when its thread leaves the host, which closes its handles; others wait on", async () => {
    const eventfd = make();
    const other = Host.attach(host.handle);
    const opened = Eventfd.open(other, eventfd.handle);
    const here = eventfd.readAsync();
    const there = opened.readAsync();
    other.dispose();
    await assert.rejects(there, { code: "EBADF" });
    assert.equal(opened.closed, true);
    eventfd.write(2);
    assert.equal(await here, 2n);
  });
});

describe("handles of an eventfd", () => {
  it("are one identity, and the context lives as long as one is open", () => {
    const eventfd = make({ initial: 1 });
    const { handle } = eventfd;
    const second = Eventfd.open(Host.attach(host.handle), handle);
    assert.equal(second.id, eventfd.id);
    second.write(2);
    eventfd.close();
    eventfd.close();
    assert.equal(second.tryRead(), 3n);
    assert.equal(host.pools.eventfd.live, 1);
    second.close();
    assert.equal(host.pools.eventfd.live, 0);
  });

  it("that are closed are EBADF in every call", async () => {
    const eventfd = make();
    eventfd.close();
    assert.equal(eventfd.closed, true);
    for (const call of [
      () => eventfd.write(),
      () => eventfd.signal(),
      () => eventfd.tryRead(),
      () => eventfd.read({ timeoutMs: 0 }),
      () => eventfd.count,
      () => eventfd.handle,
    ]) {
      assert.throws(call, {
        code: "EBADF",
        errno: -9,
        message: /was closed through this handle: open it again/,
      });
    }
    await assert.rejects(eventfd.readAsync(), { code: "EBADF" });
  });

  it("that are stale or of something else are ESTALE, and what is no handle is EINVAL", () => {
    const eventfd = make();
    const { handle } = eventfd;
    eventfd.close();
    assert.throws(() => Eventfd.open(host, handle), { code: "ESTALE" });
    const again = make();
    assert.equal(again.record, eventfd.record);
    assert.throws(() => Eventfd.open(host, handle), { code: "ESTALE" });
    // @ts-expect-error: the types say so too
    assert.throws(() => Eventfd.open(host, new Vm(host).handle), { code: "ESTALE" });
    for (const wrong of [-1, 0.5, "1", undefined]) {
      assert.throws(() => Eventfd.open(host, wrong as number), { code: "EINVAL" });
    }
  });

  it("run out with ENOMEM, and nothing is half done", () => {
    host = smallHost({ capacity: { eventfd: 2 } });
    const one = make();
    make();
    const before = liveRecords(host);
    assert.throws(() => make(), { code: "ENOMEM", subject: "eventfd" });
    assert.deepEqual(liveRecords(host), before);
    one.close();
    make();
  });
});

describe("an eventfd with an irqfd", () => {
  /** An eventfd with an irqfd of a GSI that has no route, and how often it was made pending. */
  function consumed(options?: EventfdOptions) {
    const vm = new Vm(host, { apic: false });
    const eventfd = make(options);
    let fired = 0;
    const raise = host.pending.raise.bind(host.pending);
    host.pending.raise = (irqfd) => {
      fired += 1;
      raise(irqfd);
    };
    const irqfd = vm.irqfd(eventfd, 5);
    return { vm, eventfd, irqfd, fired: () => fired };
  }

  it("fires once for each write of any value, 0 as well, and readers never see the count", () => {
    const { eventfd, fired } = consumed();
    for (const value of [1, 7, 0, MAX_COUNT]) eventfd.write(value);
    assert.equal(fired(), 4);
    eventfd.signal();
    assert.equal(fired(), 5);
    assert.equal(eventfd.count, 0n);
    assert.equal(eventfd.tryRead(), undefined);
  });

  it("and EFD_SEMAPHORE gives the irqfd one unit of each write, and keeps the rest for readers", () => {
    const { eventfd, fired } = consumed({ semaphore: true });
    eventfd.write(3);
    assert.equal(eventfd.count, 2n);
    eventfd.write(0);
    assert.equal(eventfd.count, 1n);
    eventfd.write(1);
    assert.equal(eventfd.count, 1n);
    assert.equal(fired(), 3);
  });

  it("that was full when it was assigned keeps refusing writes, which fire nothing, until it is read", () => {
    const vm = new Vm(host, { apic: false });
    const eventfd = full();
    vm.irqfd(eventfd, 5);
    let fired = 0;
    host.pending.raise = () => {
      fired += 1;
    };
    assert.throws(() => eventfd.write(1), { code: "EAGAIN" });
    assert.equal(fired, 0);
    assert.equal(eventfd.tryRead(), MAX_COUNT);
    eventfd.write(1);
    assert.equal(fired, 1);
    assert.equal(eventfd.count, 0n);
  });

  it("deassigns it when its last handle closes, not before", () => {
    const { vm, eventfd, irqfd } = consumed();
    const second = Eventfd.open(host, eventfd.handle);
    eventfd.close();
    assert.equal(irqfd.gsi, 5);
    second.close();
    assert.throws(() => irqfd.gsi, { code: "EBADF", message: /was deassigned/ });
    assert.equal(host.pools.consumer.live, 0);
    assert.equal(host.pools.eventfd.live, 0);
    vm.dispose();
    irqfd.dispose();
  });

  it("is read out by its deassign, a semaphore by one unit", () => {
    for (const [semaphore, left] of [
      [false, 0n],
      [true, 4n],
    ] as const) {
      const { vm, eventfd } = consumed({ initial: 5, semaphore });
      assert.equal(eventfd.count, 5n);
      assert.equal(vm.deassign(eventfd, 5), true);
      assert.equal(eventfd.count, left);
      eventfd.write(2);
      assert.equal(eventfd.count, left + 2n);
    }
  });

  it("a semaphore at 0 stays at 0 when it is deassigned (B9)", () => {
    const { eventfd, irqfd } = consumed({ semaphore: true });
    irqfd.dispose();
    assert.equal(eventfd.count, 0n);
  });
});
