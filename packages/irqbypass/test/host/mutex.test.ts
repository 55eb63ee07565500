/** The mutex, alone and between real threads. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Host } from "irqbypass";
import { Header, Thread } from "#src/host/layout.js";
import { Mutex, type MutexThread } from "#src/host/mutex.js";
import { SharedWords } from "#src/host/words.js";
import { smallHost } from "../support/host.js";
import { TestThread } from "../support/worker.js";
import type { MutexWork } from "./mutex-worker.js";

const WORD = 0;
const WAITERS = 1;

/** A thread that parks by calling `parked`. */
function newThread(lockId: number, options: Partial<MutexThread> = {}): MutexThread {
  const spin = (look: () => boolean) => look() || look() || look();
  return { lockId, mayBlock: true, spin, park: () => assert.fail("parked"), isGone: () => false, ...options };
}

function newMutex() {
  const words = new SharedWords(new SharedArrayBuffer(64), 0, 16);
  const healed: number[] = [];
  const lock = (thread: MutexThread) =>
    new Mutex(words, WORD, thread, "the mutex of the test", (dead) => healed.push(dead));
  return { words, lock, healed };
}

describe("a mutex", () => {
  it("is held during its section and free after it, also when that throws", () => {
    const { words, lock } = newMutex();
    const mutex = lock(newThread(5));
    assert.equal(
      mutex.guard(() => {
        assert.equal(mutex.held(), true);
        assert.equal(words.load(WORD), 10);
        return "result";
      }),
      "result",
    );
    assert.throws(
      () =>
        mutex.guard(() => {
          throw new RangeError("inside");
        }),
      RangeError,
    );
    assert.equal(mutex.held(), false);
    assert.equal(words.load(WORD), 0);
  });

  it("taken again by its owner is EDEADLK, and stays with it", () => {
    const { words, lock } = newMutex();
    const mutex = lock(newThread(5));
    mutex.guard(() => {
      assert.throws(() => mutex.guard(() => assert.fail("inside twice")), {
        code: "EDEADLK",
        errno: -35,
        subject: "the mutex of the test",
      });
      assert.equal(mutex.held(), true);
    });
    assert.equal(words.load(WORD), 0);
  });

  it("of another thread makes one that may not block say EAGAIN", () => {
    const { lock } = newMutex();
    const page = lock(newThread(2, { mayBlock: false }));
    lock(newThread(1)).guard(() => assert.throws(() => page.guard(() => {}), { code: "EAGAIN", errno: -11 }));
    page.guard(() => {});
  });

  it("wakes a sleeper at its end only if somebody sleeps", () => {
    const { words, lock } = newMutex();
    const owner = lock(newThread(1));
    let notified = 0;
    words.notify = () => ++notified;
    owner.guard(() => {});
    assert.equal(notified, 0);
    let end = () => {};
    const other = lock(
      newThread(2, {
        park(word, expected) {
          assert.equal(expected, (1 << 1) | WAITERS);
          assert.equal(words.load(word), expected, "sleeps only with its bit in the word");
          end();
          return "ok";
        },
      }),
    );
    // The owner's section ends while the other one sleeps: the two lines of `unlock`, through the owner's own code.
    words.store(WORD, 1 << 1);
    end = () => {
      const held = words.exchange(WORD, 0);
      assert.equal(held & WAITERS, WAITERS);
    };
    other.guard(() => {
      // It cannot know whether others sleep too, so it keeps the bit.
      assert.equal(words.load(WORD), (2 << 1) | WAITERS);
    });
    assert.equal(notified, 1);
  });

  it("is taken from an owner that is gone, once it has been waited for in vain, and what it guards is healed", () => {
    const { words, lock, healed } = newMutex();
    words.store(WORD, 7 << 1);
    let asked = 0;
    const isGone = (lockId: number) => lockId === 7 && ++asked === 2;
    const mutex = lock(newThread(2, { park: () => "timed-out", isGone }));
    mutex.guard(() => {
      assert.deepEqual(healed, [7]);
      assert.ok(mutex.held());
    });
    assert.equal(words.load(WORD), 0);
  });

  it("is not taken from another owner than the one that is gone", () => {
    const { words, lock, healed } = newMutex();
    words.store(WORD, 7 << 1);
    let parked = 0;
    const thread = newThread(2, {
      park() {
        if (++parked === 2) words.store(WORD, 0);
        return "timed-out";
      },
      isGone() {
        if (parked === 1) words.store(WORD, 9 << 1); // it had unlocked before it ended
        return parked === 1;
      },
    });
    lock(thread).guard(() => {});
    assert.deepEqual(healed, []);
  });

  it("notices that it was taken away", () => {
    const { words, lock } = newMutex();
    assert.throws(() => lock(newThread(1)).guard(() => words.store(WORD, 9 << 1)), /broken invariant/);
  });
});

describe("the host mutex between threads", () => {
  it("excludes, and nobody sleeps for ever", async () => {
    const host = smallHost();
    const [threads, rounds] = [4, 20_000];
    // Any word of a live record is guarded by the host mutex.
    const word = host.mutex.guard(() => host.pools.injection.allocate()) + 4;
    const work: MutexWork = { host: host.handle, word, rounds };
    const workers = Array.from(
      { length: threads },
      () => new TestThread(new URL("./mutex-worker.js", import.meta.url), work),
    );
    for (const worker of workers) assert.equal(await worker.next(), "ready");
    for (const { worker } of workers) worker.postMessage("go");
    for (const worker of workers) assert.equal(await worker.next(), "done");
    for (const { done } of workers) await done;
    assert.equal(
      host.mutex.guard(() => host.words.get(word)),
      threads * rounds,
    );
    assert.equal(host.words.load(Header.mutex), 0);
  });

  it("whose owner has ended is taken over by those who wait", {
    skip: process.platform !== "linux" && "needs /proc",
  }, () => {
    const host = smallHost();
    const dead = Host.attach(host.handle);
    host.words.store(dead.thread.record + Thread.tid, 0x7ffffffe); // a thread id that Linux does not give out
    host.words.store(Header.mutex, dead.thread.lockId << 1);
    assert.equal(
      host.mutex.guard(() => "in"),
      "in",
    );
    assert.equal(host.words.load(Header.mutex), 0);
  });
});
