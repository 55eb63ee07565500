import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Host } from "irqbypass";
import { EventfdFile, LinuxEventfd, linux as linuxKind, loadFfi } from "irqbypass/linux";
import { Eventfd as E } from "#src/host/layout.js";
import { noRelay } from "../support/host.js";
import { TestThread, until } from "../support/worker.js";
import { linux } from "./available.js";
import { openDescriptors, settledDescriptors } from "./descriptors.js";
import type { KickWork } from "./kick-worker.js";

const MOST = 2n ** 64n - 2n;
const CAPACITY = { thread: 16, eventfd: 16 };

describe("a kick of who sleeps in poll(2)", linux, () => {
  const ffi = linux.skip === false ? loadFfi() : undefined!;

  const makeHost = () => Host.create({ kinds: [linuxKind()], capacity: CAPACITY, spawn: noRelay });
  async function start(host: Host, eventfd: LinuxEventfd, work: Pick<KickWork, "act" | "patient">) {
    const { handle } = eventfd;
    const thread = new TestThread(new URL("./kick-worker.js", import.meta.url), {
      host: host.handle,
      eventfd: handle,
      ...work,
    } satisfies KickWork);
    assert.equal(await thread.next(), "ready");
    return thread;
  }
  /** By which descriptor a kick wakes who sleeps in it; the first one to go to sleep makes it. */
  const kickOf = (host: Host, { record }: LinuxEventfd) => host.words.load(record + E.kick) - 1;
  const asleep = (host: Host, eventfd: LinuxEventfd) => until("it sleeps", () => kickOf(host, eventfd) >= 0);

  /** Kicks until each of the threads has heard of one and has ended; returns what they say, added up. */
  async function kickAll(eventfd: LinuxEventfd, threads: readonly TestThread[]): Promise<number> {
    let counts: readonly number[] | undefined;
    void Promise.all(threads.map((thread) => thread.next<number>())).then((said) => {
      counts = said;
    });
    await until("each has heard of one", () => {
      if (counts === undefined) eventfd.kick();
      return counts !== undefined;
    });
    await Promise.all(threads.map(({ done }) => done));
    return counts!.reduce((sum, count) => sum + count, 0);
  }

  it("ends a read at once, without a time limit of poll's", async () => {
    using host = makeHost();
    using eventfd = LinuxEventfd.create(host);
    const reader = await start(host, eventfd, { act: "read", patient: true });
    await asleep(host, eventfd);
    eventfd.write(3);
    await until("it is read", () => eventfd.count === 0n);
    eventfd.kick();
    assert.equal(await reader.next(), 3);
    await reader.done;
  });

  for (const value of [1n, 5n]) {
    it(`ends a write of ${value} that finds no room, with nothing added; room ends it with true`, async () => {
      using host = makeHost();
      using file = EventfdFile.create(ffi, { nonblocking: false });
      using eventfd = LinuxEventfd.adopt(host, file.fd);
      file.write(MOST);
      eventfd.kick();
      assert.equal(eventfd.write(value), false, "kicked before");
      const writer = await start(host, eventfd, { act: { write: value }, patient: value === 1n });
      eventfd.kick();
      assert.equal(await writer.next(), false);
      await writer.done;
      assert.equal(file.count, MOST);
      const next = await start(host, eventfd, { act: { write: value }, patient: value === 1n });
      assert.equal(file.read(), MOST);
      assert.equal(await next.next(), true);
      await next.done;
      assert.equal(file.read(), value);
      eventfd.kick();
      assert.equal(eventfd.write(value), true, "a kick is for who finds no room");
    });
  }

  it("ends each of several writers that are after the same room, time and again", async () => {
    using host = makeHost();
    using file = EventfdFile.create(ffi, { nonblocking: false, semaphore: true });
    using eventfd = LinuxEventfd.adopt(host, file.fd);
    file.write(MOST);
    const writers = await Promise.all(
      [1, 2, 3].map(() => start(host, eventfd, { act: "fill", patient: true })),
    );
    for (let rooms = 300; rooms > 0; rooms--) {
      file.read();
      await until("it is taken", () => file.count === MOST);
    }
    const written = await kickAll(eventfd, writers);
    assert.deepEqual([file.count, written], [MOST, 300]);
  });

  it("loses no count beside it, and ends each of several readers", async () => {
    using host = makeHost();
    using eventfd = LinuxEventfd.create(host);
    const writes = 2_000;
    const readers = await Promise.all([1, 2, 3].map(() => start(host, eventfd, { act: "read" })));
    for (let round = 0; round < writes; round++) eventfd.write();
    const taken = await kickAll(eventfd, readers);
    assert.equal(taken + Number(eventfd.tryRead() ?? 0n), writes);
  });

  it("leaves nothing where the thread that sleeps is terminated, and none of its kicks to the next", async () => {
    const before = await settledDescriptors();
    {
      using host = makeHost();
      using eventfd = LinuxEventfd.create(host);
      const there = openDescriptors();
      const reader = await start(host, eventfd, { act: "read" });
      await asleep(host, eventfd);
      const kick = kickOf(host, eventfd);
      await reader.terminate();
      const next = await start(host, eventfd, { act: "read", patient: true });
      eventfd.write(2);
      await until("it is read", () => eventfd.count === 0n);
      eventfd.kick();
      assert.equal(await next.next(), 2);
      await next.done;
      assert.equal(kickOf(host, eventfd), kick, "one descriptor for the kicks, however many have slept");
      assert.deepEqual(await settledDescriptors(), [...there, "anon_inode:[eventfd]"].sort());
    }
    assert.deepEqual(await settledDescriptors(), before);
  });

  it("ends a read also where a thread that kicks was terminated in the middle", async () => {
    using host = makeHost();
    using eventfd = LinuxEventfd.create(host);
    for (let round = 0; round < 5; round++) {
      const kicker = await start(host, eventfd, { act: "kick" });
      const reader = await start(host, eventfd, { act: "read" });
      await reader.next();
      await kicker.terminate();
      await reader.done;
      while (eventfd.read({ timeoutMs: 0 }) !== undefined);
      const after = await start(host, eventfd, { act: "read", patient: true });
      eventfd.kick();
      assert.equal(await after.next(), 0);
      await after.done;
    }
  });

  it("is heard of after a moment where no descriptor is left for it", () => {
    using host = makeHost();
    const kind = host.kinds.find((one): one is ReturnType<typeof linuxKind> => one.name === "linux-eventfd")!;
    using eventfd = LinuxEventfd.create(host);
    const own = kind.ffi();
    const { poll } = own;
    own.eventfd = () => -24; // EMFILE
    own.poll = (fds, count, timeoutMs) => {
      eventfd.kick(); // as another thread does meanwhile
      return poll(fds, count, timeoutMs);
    };
    assert.equal(eventfd.read(), undefined);
  });
});
