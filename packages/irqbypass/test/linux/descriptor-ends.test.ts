// A thread that is terminated right after a call that opens or closes a descriptor: none is left open, and none of others is closed.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Host } from "irqbypass";
import { kvm } from "irqbypass/kvm";
import { EventfdFile, LinuxEventfd, linux, loadFfi } from "irqbypass/linux";
import { Eventfd as E, Header } from "#src/host/layout.js";
import { kvmTests } from "../kvm/available.js";
import { liveThreadsAndRecords, noRelay, SMALL } from "../support/host.js";
import { TestThread, until } from "../support/worker.js";
import { linux as linuxTests } from "./available.js";
import { type DescriptorWork, KVM_WAYS, LINUX_WAYS, type Way } from "./descriptor-worker.js";
import { openDescriptors } from "./descriptors.js";

/** What hosts have open, and the event loops of threads. */
const open = () => openDescriptors().filter((target) => /\[event(fd|poll)\]|kvm/.test(target));

/** How many of them are the host's own: those on which relays wait, and that of the eventfd's kicks. Whoever needs one first makes it. */
const lasting = ({ words }: Host, eventfd: number) =>
  [Header.epoll, Header.readersEpoll, eventfd + E.kick].filter((word) => words.load(word) !== 0).length;

/** Ends a thread after so many calls. Returns whether there were so many, and it was ended. */
async function endAfter(way: Way, after: number): Promise<boolean> {
  const ffi = loadFfi();
  using host = Host.create({ kinds: [linux(), kvm()], capacity: SMALL, spawn: noRelay });
  using eventfd = LinuxEventfd.create(host);
  using go = EventfdFile.create(ffi);
  const words = new Int32Array(new SharedArrayBuffer(4));
  const before = { open: open(), records: liveThreadsAndRecords(host) };
  const thread = new TestThread(new URL("./descriptor-worker.js", import.meta.url), {
    ...{ host: host.handle, eventfd: eventfd.handle, go: go.fd, words },
    ...{ way, after },
  } satisfies DescriptorWork);
  host.watch(thread.worker);
  let done = false;
  const ended = thread.next().then(
    () => {
      done = true;
    },
    () => {},
  );
  await until("it stays, or is done", () => done || Atomics.load(words, 0) === 1);
  // What has been closed by the thread is another's now.
  using stranger = EventfdFile.create(ffi, { count: 7 });
  if (!done) {
    const exit = thread.terminate(); // before it goes on: it ends at the first place where it can
    go.write();
    await exit;
  }
  await Promise.all([ended, thread.done.catch(() => {})]);
  await until("it is repaired", () => host.pools.thread.live === before.records.thread);
  assert.equal(stranger.count, 7n, `${way}, after ${after}: the descriptor of another is closed`);
  stranger[Symbol.dispose]();
  assert.deepEqual(liveThreadsAndRecords(host), before.records, `${way}, after ${after}`);
  const found = open();
  const { length } = before.open;
  assert.equal(found.length, length + lasting(host, eventfd.record), `${way}, after ${after}: ${found}`);
  assert.deepEqual(host.audit().findings, []);
  return !done;
}

async function endAnywhere(way: Way): Promise<string> {
  const before = open();
  let ends = 0;
  while (await endAfter(way, ends + 1)) ends += 1;
  assert.deepEqual(open(), before, "once the hosts are gone");
  assert.ok(ends > 0);
  return `${ends} ends`;
}

describe("a thread that is terminated after any call that opens or closes a descriptor, leaves none, where it", () => {
  for (const way of LINUX_WAYS) it(way, linuxTests, async (test) => test.diagnostic(await endAnywhere(way)));
  for (const way of KVM_WAYS) it(way, kvmTests, async (test) => test.diagnostic(await endAnywhere(way)));
});
