/** Threads of a host: their records and their in-flight words. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Host } from "irqbypass";
import { Header, Thread, WAITED } from "#src/host/layout.js";
import type { Platform } from "#src/host/platform.js";
import { platformHere } from "#src/host/platform-here.js";
import { SharedWords, type Words } from "#src/host/words.js";
import { smallHost } from "../support/host.js";

/** Of a machine on which a thread may look. */
const manyCores: Platform = { ...platformHere(), cores: 8 };

/** A word that nobody changes, and which is 0. */
const LOOKED_AT = Header.words - 1;

/** Counts the looks at {@link LOOKED_AT}. */
class LookedAt {
  looks = 0;
  /** The words of a host that count. */
  readonly words = (buffer: SharedArrayBuffer, byteOffset: number, length: number): Words => {
    const count = () => {
      this.looks += 1;
    };
    return new (class extends SharedWords {
      override load(word: number): number {
        if (word === LOOKED_AT) count();
        return super.load(word);
      }
    })(buffer, byteOffset, length);
  };
}

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

  it("sleeps at once after looks that came to nothing, and looks again once one has paid", () => {
    const seen = new LookedAt();
    const host = Host.create({ platform: manyCores, words: seen.words });
    let looks = 0;
    const wait = (pays: boolean) => {
      seen.looks = 0;
      const found = host.thread.spinBeforeSleep(LOOKED_AT, pays ? 1 : 0);
      looks = seen.looks;
      return found;
    };
    for (let i = 0; i < 4; i++) assert.deepEqual([wait(false), looks > 1], [false, true], `wait ${i}`);
    const looked = Array.from({ length: 200 }, () => {
      assert.equal(wait(false), false);
      return looks > 0;
    }).filter(Boolean).length;
    assert.ok(looked > 0 && looked < 20, `of 200 waits ${looked} looked`);
    let waits = 1;
    while (!wait(true)) waits += 1;
    assert.ok(waits < 100, `it looked again after ${waits} waits`);
    assert.deepEqual([wait(true), looks], [true, 1]);
    assert.deepEqual([wait(false), looks > 1, wait(false), looks > 1], [false, true, false, true]);
    assert.deepEqual([host.thread.spin(() => false), host.words.load(Header.looking)], [false, 0]);
  });

  it("looks for as long as the host says, in every thread of it, and not at all for spinUs 0", () => {
    const counts = [0, 1, 5, 10, 1000].map((spinUs) => {
      const made = Host.create({ platform: manyCores, spinUs });
      const seen = new LookedAt();
      const host = Host.attach(made.handle, { platform: manyCores, words: seen.words });
      seen.looks = 0;
      assert.equal(host.thread.spinBeforeSleep(LOOKED_AT, 0), false);
      assert.equal(
        host.thread.spin(() => spinUs > 0),
        spinUs > 0,
      );
      return seen.looks;
    });
    assert.equal(counts[0], 0);
    assert.equal(counts[3], 2 * counts[2]!);
    assert.ok(counts[1]! > 0 && counts[4]! > counts[3]!);
    for (const spinUs of [-1, 1001, Number.NaN, "5", null])
      assert.throws(() => Host.create({ spinUs: spinUs as number }), {
        code: "EINVAL",
        message: /spinUs is/,
      });
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
