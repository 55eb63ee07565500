/** Epolls over eventfds in the host's memory: what a Linux program would see of its own. */
import assert from "node:assert/strict";
import { beforeEach, describe, it } from "node:test";
import { Epoll, Eventfd, Host, MAX_COUNT, Vm } from "irqbypass";
import { liveRecords, smallHost } from "../support/host.js";

let host: Host;
let epoll: Epoll;
beforeEach(() => {
  host = smallHost();
  epoll = Epoll.create(host);
});

const sound = () => assert.deepEqual(host.audit().findings, []);
/** So many eventfds, watched with their index as data. */
function watched(count: number, edge = false): Eventfd[] {
  const eventfds = Array.from({ length: count }, () => Eventfd.create(host));
  eventfds.forEach((eventfd, data) => {
    epoll.add(eventfd, { data, edge });
  });
  return eventfds;
}

describe("a level-triggered watch", () => {
  it("is reported as long as there is something to read", () => {
    const [, second] = watched(2);
    assert.deepEqual(epoll.tryWait(), []);
    second!.write(2);
    assert.deepEqual([epoll.tryWait(), epoll.wait(), epoll.tryWait()], [[1], [1], [1]]);
    second!.read();
    assert.deepEqual(epoll.tryWait(), []);
    sound();
  });

  it("of a semaphore, until its last unit is read", () => {
    const eventfd = Eventfd.create(host, { semaphore: true, initial: 2 });
    epoll.add(eventfd, { data: 4 });
    for (const expected of [[4], [4], []]) {
      assert.deepEqual(epoll.tryWait(), expected);
      eventfd.tryRead();
    }
  });

  it("is not reported where another reader was faster", () => {
    const [one] = watched(1);
    one!.write();
    one!.read();
    assert.deepEqual(epoll.tryWait(), []);
  });

  it("reports the eventfd's id where no data is given, and any whole number to 2^53-1", () => {
    Eventfd.create(host);
    const eventfd = Eventfd.create(host, { initial: 1 });
    epoll.add(eventfd);
    assert.deepEqual(epoll.tryWait(), [eventfd.id]);
    for (const data of [0, 2 ** 31, 2 ** 32 - 1, 2 ** 32, Number.MAX_SAFE_INTEGER]) {
      epoll.remove(eventfd);
      epoll.add(eventfd, { data });
      assert.deepEqual(epoll.tryWait(), [data]);
    }
  });
});

describe("an edge-triggered watch", () => {
  it("is reported once for each write, also where nobody has read", () => {
    const [one] = watched(1, true);
    one!.write();
    assert.deepEqual([epoll.tryWait(), epoll.tryWait()], [[0], []]);
    one!.write();
    assert.deepEqual([epoll.tryWait(), epoll.tryWait()], [[0], []]);
    one!.write(0); // of nothing is a write as well
    assert.deepEqual(epoll.tryWait(), [0]);
    sound();
  });

  it("counts several writes before a wait as one event, and one that was read as none", () => {
    const [one] = watched(1, true);
    one!.write();
    one!.write();
    assert.deepEqual([epoll.tryWait(), epoll.tryWait()], [[0], []]);
    one!.write();
    one!.read();
    assert.deepEqual(epoll.tryWait(), []);
  });

  it("is reported where the eventfd was ready as it was added, and not for a write that is refused", () => {
    const eventfd = Eventfd.create(host);
    eventfd.write(MAX_COUNT);
    epoll.add(eventfd, { edge: true, data: 1 });
    assert.deepEqual([epoll.tryWait(), epoll.tryWait()], [[1], []]);
    assert.throws(() => eventfd.write(), { code: "EAGAIN" });
    assert.deepEqual(epoll.tryWait(), []);
    eventfd.signal(); // a device's saturates, and is one
    assert.deepEqual(epoll.tryWait(), [1]);
  });
});

describe("an epoll", () => {
  it("returns at most maxEvents, and begins with the others the next time", () => {
    const eventfds = watched(5);
    for (const eventfd of eventfds) eventfd.write();
    const seen = [0, 1, 2, 3, 4].map(() => epoll.tryWait({ maxEvents: 2 }));
    assert.deepEqual(seen.flat().sort(), [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]);
    for (let i = 0; i < 5; i++) assert.equal(new Set(seen.flat().slice(0, 5)).size, 5);
    sound();
  });

  it("has no limit of 256: those that share a bit are told apart, and get their turn", () => {
    host = smallHost({ capacity: { eventfd: 1500, watch: 1500 } });
    epoll = Epoll.create(host);
    const eventfds = watched(1500);
    for (const one of [3, 259, 1027]) eventfds[one]!.write(); // all of bit 3
    const seen = [1, 2, 3, 4, 5, 6].map(() => epoll.wait({ maxEvents: 1 })[0]);
    for (const half of [seen.slice(0, 3), seen.slice(3)])
      assert.deepEqual(
        half.sort((a, b) => a! - b!),
        [3, 259, 1027],
      );
    eventfds[259]!.read();
    assert.deepEqual(
      epoll.tryWait().sort((a, b) => a - b),
      [3, 1027],
    );
    sound();
  });

  it("watches 10,000, each reported, removed and added again", () => {
    host = Host.create({ capacity: { eventfd: 10_000 } });
    epoll = Epoll.create(host);
    const eventfds = watched(10_000);
    for (const eventfd of eventfds) eventfd.write();
    const all = new Set<number>();
    while (all.size < 10_000) {
      const before = all.size;
      for (const data of epoll.wait({ maxEvents: 1000 })) all.add(data);
      assert.equal(all.size, before + 1000, "each wait goes on behind the one before");
    }
    for (const eventfd of eventfds) eventfd.read();
    assert.deepEqual(epoll.tryWait(), []);
    for (const eventfd of eventfds) epoll.remove(eventfd);
    for (const eventfd of eventfds) eventfd.write();
    assert.deepEqual(epoll.tryWait(), []);
    epoll.add(eventfds[9_999]!, { data: 7 });
    assert.deepEqual(epoll.wait(), [7]);
    sound();
    epoll.close();
    assert.deepEqual([host.pools.watch.live, host.pools.epoll.live], [0, 0]);
    host.dispose();
  });

  it("never reports what was removed", () => {
    const [one, two] = watched(2);
    one!.write();
    two!.write();
    epoll.remove(one!);
    assert.deepEqual([epoll.tryWait(), epoll.tryWait()], [[1], [1]]);
    one!.write();
    assert.deepEqual(epoll.tryWait(), [1]);
    epoll.add(one!, { data: 5 });
    assert.deepEqual(epoll.tryWait().sort(), [1, 5]);
  });

  it("is one of many that watch an eventfd", () => {
    const others = [Epoll.create(host), Epoll.create(host)];
    const [one] = watched(1);
    others.forEach((other, index) => {
      other.add(one!, { data: 10 + index });
    });
    one!.write();
    assert.deepEqual(
      [epoll, ...others].map((each) => each.tryWait()),
      [[0], [10], [11]],
    );
    others[0]!.remove(one!);
    assert.deepEqual(
      [epoll, ...others].map((each) => each.tryWait()),
      [[0], [], [11]],
    );
    sound();
  });

  it("hears nothing of an eventfd that an irqfd consumes, and again of one that none does any more", () => {
    const vm = new Vm(host, { apic: false });
    const [one] = watched(1);
    const irqfd = vm.irqfd(one!, 3);
    one!.write();
    assert.deepEqual(epoll.tryWait(), []);
    irqfd.dispose();
    one!.write();
    assert.deepEqual(epoll.tryWait(), [0]);
  });

  it("is not told of the last close of an eventfd, and watches it no more", () => {
    const [one, two] = watched(2);
    const again = Eventfd.open(host, one!.handle);
    one!.write();
    one!.close();
    assert.deepEqual(epoll.tryWait(), [0]);
    again.close();
    assert.deepEqual(epoll.tryWait(), []);
    assert.equal(host.pools.watch.live, 1);
    two!.write();
    assert.deepEqual(epoll.tryWait(), [1]);
    sound();
  });

  it("lives until its last handle is closed, and watches nothing after that", () => {
    const before = liveRecords(host);
    const again = Epoll.open(host, epoll.handle);
    const [one] = watched(1);
    epoll.close();
    epoll.close();
    one!.write();
    assert.deepEqual(again.wait(), [0]);
    again[Symbol.dispose]();
    one!.write();
    one!.close();
    assert.deepEqual(liveRecords(host), { ...before, epoll: 0, reference: 0 });
    assert.equal(epoll.closed, true);
    sound();
  });
});

describe("a wait of an epoll", () => {
  it("returns nothing when its time is over", async () => {
    watched(1);
    assert.deepEqual(epoll.wait({ timeoutMs: 0 }), []);
    assert.deepEqual(epoll.wait({ timeoutMs: 5 }), []);
    assert.deepEqual(await epoll.waitAsync({ timeoutMs: 5 }), []);
    sound();
  });

  it("is ended by a kick, the present one or the next", async () => {
    epoll.kick();
    epoll.kick();
    assert.deepEqual(epoll.wait(), []);
    const wait = epoll.waitAsync();
    epoll.kick();
    assert.deepEqual(await wait, []);
    epoll.kick();
    const [one] = watched(1);
    one!.write();
    assert.deepEqual([epoll.wait(), epoll.tryWait()], [[0], [0]]);
    one!.read();
    assert.deepEqual(epoll.wait(), [], "what was ready came first");
    sound();
  });

  it("hears of what is written, and of what is added, while it goes on", async () => {
    const [one] = watched(1);
    let wait = epoll.waitAsync();
    one!.write();
    assert.deepEqual(await wait, [0]);
    one!.read();
    wait = epoll.waitAsync();
    await new Promise((resolve) => setTimeout(resolve, 1));
    const late = Eventfd.create(host, { initial: 1 });
    epoll.add(late, { data: 9 });
    assert.deepEqual(await wait, [9]);
    sound();
  });

  it("is one at a time: EBUSY, in a try as well", async () => {
    const [one] = watched(1);
    const again = Epoll.open(host, epoll.handle);
    const wait = again.waitAsync();
    assert.throws(() => epoll.wait(), {
      code: "EBUSY",
      message: /somebody waits for epoll 0 in this very thread/,
    });
    assert.throws(() => epoll.tryWait(), { code: "EBUSY" });
    await assert.rejects(epoll.waitAsync(), { code: "EBUSY" });
    one!.write();
    assert.deepEqual(await wait, [0]);
    assert.deepEqual(epoll.tryWait(), [0]);
  });

  it("ends with its signal, and with its handle, and leaves the epoll to others", async () => {
    const [one] = watched(1);
    const again = Epoll.open(host, epoll.handle);
    const controller = new AbortController();
    const aborted = again.waitAsync({ signal: controller.signal });
    controller.abort(new Error("enough"));
    await assert.rejects(aborted, /enough/);
    await assert.rejects(again.waitAsync({ signal: controller.signal }), /enough/);
    const closed = again.waitAsync();
    again.close();
    one!.write();
    assert.deepEqual(epoll.wait(), [0], "before the other one has heard of its end");
    await assert.rejects(closed, { code: "EBADF" });
    assert.deepEqual(epoll.wait(), [0]);
    sound();
  });

  it("ends when this thread leaves the host", async () => {
    const second = Host.attach(host.handle);
    const there = Epoll.open(second, epoll.handle);
    const left = there.waitAsync();
    second.dispose();
    await assert.rejects(left, { code: "EBADF" });
    assert.equal(there.closed, true);
    epoll.kick();
    assert.deepEqual(epoll.wait(), []);
    sound();
  });

  it("in a thread that may not block is refused, naming the asynchronous form, where nothing is ready", async () => {
    host = Host.create({ platform: { ...host.platform, mayBlock: false } });
    epoll = Epoll.create(host);
    const [one] = watched(1);
    assert.throws(() => epoll.wait(), {
      code: "EAGAIN",
      message: /epoll 0, of which nothing is ready.*use waitAsync/,
    });
    const wait = epoll.waitAsync();
    one!.write();
    assert.deepEqual(await wait, [0]);
    assert.deepEqual(epoll.wait(), [0]);
  });
});

describe("an epoll refuses", () => {
  it("to watch an eventfd twice, EEXIST, and to remove one that it does not watch, ENOENT", () => {
    const [one] = watched(1);
    assert.throws(() => epoll.add(one!), {
      code: "EEXIST",
      message: /epoll 0 watches eventfd 0 already: remove it first/,
    });
    const other = Eventfd.create(host);
    assert.throws(() => epoll.remove(other), {
      code: "ENOENT",
      message: /epoll 0 does not watch eventfd 1: add it first/,
    });
    epoll.remove(one!);
    assert.throws(() => epoll.remove(one!), { code: "ENOENT" });
  });

  it("what is no eventfd, one of another host, one that was closed", () => {
    const foreign = Eventfd.create(smallHost());
    const gone = Eventfd.create(host);
    gone.close();
    for (const call of [epoll.add.bind(epoll), epoll.remove.bind(epoll)]) {
      assert.throws(() => call(foreign), { code: "EXDEV" });
      assert.throws(() => call(gone), { code: "EBADF" });
      assert.throws(() => call({} as Eventfd), { code: "EINVAL" });
    }
  });

  it("options that it does not know, and values that it cannot take", () => {
    const eventfd = Eventfd.create(host);
    for (const options of [
      { dat: 1 },
      { data: -1 },
      { data: 0.5 },
      { data: 2 ** 53 },
      { data: "1" },
      { edge: 1 },
      [],
      null,
    ])
      assert.throws(() => epoll.add(eventfd, options as object), { code: "EINVAL" });
    for (const options of [{ maxEvents: 0 }, { maxEvents: 1.5 }, { maxEvent: 1 }, { timeoutMs: Number.NaN }])
      assert.throws(() => epoll.wait(options as object), { code: "EINVAL" });
    assert.throws(() => epoll.wait({ signal: new AbortController().signal } as object), {
      code: "EINVAL",
      message: /use waitAsync/,
    });
    assert.throws(() => epoll.tryWait({ timeoutMs: 1 } as object), { code: "EINVAL" });
    assert.deepEqual([host.pools.watch.live, epoll.tryWait()], [0, []]);
  });

  it("more than there is room for, naming the capacity", () => {
    host = smallHost({ capacity: { epoll: 1, watch: 1 } });
    epoll = Epoll.create(host);
    assert.throws(() => Epoll.create(host), { code: "ENOMEM", message: /capacity\.epoll is 1/ });
    const [one, two] = [Eventfd.create(host, { initial: 1 }), Eventfd.create(host)];
    epoll.add(one);
    assert.throws(() => epoll.add(two), { code: "ENOMEM", message: /capacity\.watch is 1/ });
    assert.deepEqual(epoll.tryWait(), [one.id]);
    sound();
  });

  it("everything once it was closed", async () => {
    const [one] = watched(1);
    const { id, handle } = epoll;
    epoll.close();
    for (const call of [
      () => epoll.add(one!),
      () => epoll.remove(one!),
      () => epoll.tryWait(),
      () => epoll.wait(),
      () => epoll.kick(),
      () => epoll.handle,
    ])
      assert.throws(call, { code: "EBADF" });
    await assert.rejects(epoll.waitAsync(), { code: "EBADF" });
    assert.equal(epoll.id, id);
    assert.throws(() => Epoll.open(host, handle), { code: "ESTALE" });
  });
});
