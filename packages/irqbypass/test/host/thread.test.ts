/** Threads of a host: their records and their in-flight words. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Host } from "irqbypass";
import { Header, Thread, WAITED } from "#src/host/layout.js";
import { smallHost } from "../support/host.js";

describe("a thread of a host", () => {
  it("has a record of its own, and gives it back", () => {
    const host = smallHost();
    const second = Host.attach(host.handle);
    const { record } = second.thread;
    assert.notEqual(record, host.thread.record);
    assert.notEqual(second.thread.lockId, host.thread.lockId);
    second.dispose();
    second.dispose();
    assert.equal(host.words.load(record + Thread.state), 0);
    assert.equal(Host.attach(host.handle).thread.record, record);
  });

  it("is one too many with ENOMEM", () => {
    const host = smallHost({ capacity: { thread: 3 } });
    Host.attach(host.handle);
    const third = Host.attach(host.handle);
    assert.throws(() => Host.attach(host.handle), {
      code: "ENOMEM",
      message:
        /capacity\.thread is 3, and all are in use: create the host with size "small", which has 32, or/,
    });
    third.dispose();
    Host.attach(host.handle);
  });

  it("is known to the operating system", { skip: process.platform !== "linux" && "needs /proc" }, () => {
    const host = smallHost();
    const { pid, tid, startTime, worker } = host.thread.osThread(host.thread.record);
    assert.equal(pid, process.pid);
    assert.equal(tid, process.pid); // the main thread
    assert.ok(startTime > 0);
    assert.equal(host.platform.alive({ pid, tid, startTime, worker }), true);
    assert.equal(host.platform.alive({ pid, tid, startTime: startTime - 1, worker }), false);
    assert.equal(host.platform.alive({ pid: 0, tid: 0, startTime: 0, worker: 0 }), undefined);
  });

  it("looks before it sleeps, until it sees what it waits for", () => {
    const host = smallHost();
    let looks = 0;
    const found = host.thread.spin(() => {
      looks += 1;
      assert.equal(host.words.load(Header.looking), host.thread.lockId);
      return looks === 3;
    });
    assert.equal(found, host.platform.cores > 1);
    assert.equal(host.words.load(Header.looking), 0);
  });

  it("does not look where as many others look as there are cores to spare", () => {
    const host = smallHost();
    const places = Math.min(host.platform.cores - 1, Header.lookingEnd - Header.looking);
    for (let i = 0; i < places; i++) host.words.store(Header.looking + i, 77);
    assert.equal(
      host.thread.spin(() => assert.fail("looked")),
      false,
    );
    for (let i = 0; i < places; i++) assert.equal(host.words.load(Header.looking + i), 77);
  });

  it("clears its in-flight word and wakes the fence that waits for it", () => {
    const host = smallHost();
    const { words, thread } = host;
    const notified: number[] = [];
    words.notify = (word) => notified.push(word);
    words.store(thread.signalling, 64);
    thread.leave(thread.signalling);
    assert.deepEqual(notified, []);
    words.store(thread.signalling, 64 | WAITED);
    thread.leave(thread.signalling);
    assert.deepEqual(notified, [thread.signalling]);
    assert.equal(words.load(thread.signalling), 0);
  });

  it("does not leave in mid-flight", () => {
    const host = smallHost();
    const second = Host.attach(host.handle);
    second.words.store(second.thread.signalling, 64);
    assert.throws(() => second.dispose(), /mid-flight/);
  });
});

describe("a fence", () => {
  it("waits for the words that name what it is for, and for no others", () => {
    const host = smallHost();
    const other = Host.attach(host.handle);
    const { words, thread } = host;
    words.store(other.thread.writing, 128);
    thread.fence(other.thread.writing, 64);
    thread.fenceAll(Thread.writing, 64);
    let parked = 0;
    words.wait = (word, expected) => {
      assert.equal(word, other.thread.writing);
      assert.equal(expected, 64 | WAITED);
      assert.equal(words.load(word), expected, "asks to be woken before it sleeps");
      parked += 1;
      other.thread.leave(other.thread.writing);
      return "ok";
    };
    words.store(other.thread.writing, 64);
    thread.fenceAll(Thread.writing, 64);
    assert.equal(parked, 1);
  });

  it("does not wait for its own thread", () => {
    const host = smallHost();
    host.words.store(host.thread.writing, 64);
    host.thread.fenceAll(Thread.writing, 64);
    host.words.store(host.thread.writing, 0);
  });

  it("that waits for a thread that has ended repairs what that was in the middle of, and goes on", {
    skip: process.platform !== "linux" && "needs /proc",
  }, () => {
    const host = smallHost();
    const dead = Host.attach(host.handle);
    host.words.store(dead.thread.record + Thread.tid, 0x7ffffffe); // a thread id that Linux does not give out
    host.words.store(dead.thread.writing, 64);
    host.thread.fenceAll(Thread.writing, 64);
    assert.equal(host.words.load(dead.thread.writing), 0);
  });
});
