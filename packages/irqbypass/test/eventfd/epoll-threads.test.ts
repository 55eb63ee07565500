/** Writers and a waiter in threads of their own, beside watches that come and go, and waiters that are ended. @threads */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Epoll, Eventfd, type Host } from "irqbypass";
import { smallHost } from "../support/host.js";
import { TestThread, until } from "../support/worker.js";
import type { EpollWork } from "./epoll-worker.js";

const MODULE = new URL("./epoll-worker.js", import.meta.url);
const EVENTFDS = 300; // some share a bit
const WRITERS = 2;
const WRITES = 200;

function setUp(host: Host) {
  const epoll = Epoll.create(host);
  const eventfds = Array.from({ length: EVENTFDS }, () => Eventfd.create(host));
  for (const [data, eventfd] of eventfds.entries()) epoll.add(eventfd, { data });
  const board = new Int32Array(new SharedArrayBuffer(8));
  const handles = eventfds.map(({ handle }) => handle);
  const start = (writes: number) => {
    const work: EpollWork = { host: host.handle, epoll: epoll.handle, eventfds: handles, writes, board };
    return new TestThread(MODULE, work);
  };
  return { epoll, eventfds, board, start };
}

const left = (eventfds: readonly Eventfd[]) => eventfds.reduce((sum, { count }) => sum + count, 0n);

describe("an epoll between threads", () => {
  it("loses no write, while watches are removed and added again", async () => {
    const host = smallHost({ capacity: { eventfd: EVENTFDS, reference: 2000 } });
    const { epoll, eventfds, board, start } = setUp(host);
    const waiter = start(0);
    await waiter.next();
    const writers = Array.from({ length: WRITERS }, () => start(WRITES));
    for (const writer of writers) await writer.next();
    let running = WRITERS;
    for (const { done } of writers) void done.then(() => (running -= 1));
    let changes = 0;
    while (running > 0) {
      const data = (changes * 7) % EVENTFDS;
      epoll.remove(eventfds[data]!);
      epoll.add(eventfds[data]!, { data });
      changes += 1;
      if (changes % 64 === 0) await new Promise((resolve) => setTimeout(resolve, 1));
    }
    await until("the waiter has read everything", () => left(eventfds) === 0n);
    Atomics.store(board, 0, 1);
    epoll.kick();
    assert.equal(await waiter.next(), BigInt(WRITERS * WRITES * EVENTFDS));
    await waiter.done;
    assert.ok(changes > 100, `${changes} watches were removed and added`);
    assert.deepEqual(host.audit().findings, []);
    host.dispose();
  });

  it("goes on with another waiter when one is ended, asleep or not, and loses nothing that is in a counter", async () => {
    const host = smallHost({ capacity: { eventfd: EVENTFDS, reference: 2000 } });
    const { epoll, eventfds, start } = setUp(host);
    for (let turn = 0; turn < 5; turn++) {
      const waiter = start(0);
      await waiter.next();
      if (turn === 0) await until("it waits", () => isWaitedFor(host, epoll));
      const writers = turn === 0 ? [] : [start(20)];
      for (const writer of writers) await writer.next();
      await host.terminate(waiter.worker);
      for (const writer of writers) await writer.done;
    }
    const before = left(eventfds);
    let read = 0n;
    for (let found = epoll.tryWait(); found.length > 0; found = epoll.tryWait())
      for (const data of found) read += eventfds[data]!.tryRead() ?? 0n;
    assert.equal(read, before);
    assert.equal(left(eventfds), 0n);
    assert.deepEqual(host.audit().findings, []);
    host.dispose();
  });
});

/** Does another thread wait? By the list of threads: whoever waits at the moment of a look through the epoll is refused. */
function isWaitedFor(host: Host, { id }: Epoll): boolean {
  return host.threads().some(({ waitsFor }) => waitsFor === `epoll ${id}`);
}
