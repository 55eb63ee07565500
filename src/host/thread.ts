import { broken, IrqBypassError } from "./errors.js";
import { Header, Thread, WAITED } from "./layout.js";
import type { MutexThread } from "./mutex.js";
import type { OsThread, Platform } from "./platform.js";
import type { Pool } from "./pool.js";
import type { Words } from "./words.js";

const enum State {
  free = 0,
  attached = 1,
}

/** Looks before a sleep: about 5 us of them. */
const SPINS = 128;
/** Looks of a thread that may not sleep, after which it gives up. */
const SPINS_WITHOUT_SLEEP = 1_000_000;
const FENCE_LOOKS = 64;
const FENCE_PROBE_MS = 100;

/**
 * The calling thread as a host knows it: one record, whose *in-flight words* say what it is in the middle of.
 * A thread announces what it is about to use, uses it, and clears the word; whoever takes something away first
 * makes it unreachable, and then waits here until no in-flight word names it (a fence).
 */
export class ThisThread implements MutexThread {
  readonly record: number;
  readonly lockId: number;
  readonly mayBlock: boolean;
  /** In-flight word of the producer that this thread is signalling. */
  readonly signalling: number;
  /** In-flight word of the eventfd or irqfd that this thread is writing, draining or relaying. */
  readonly writing: number;
  /** Has it been detached? Then its record may be another thread's. */
  left = false;

  constructor(
    private readonly words: Words,
    private readonly pool: Pool,
    private readonly platform: Platform,
  ) {
    this.mayBlock = platform.mayBlock;
    this.record = this.claim();
    this.lockId = pool.slot(this.record) + 1;
    this.signalling = this.record + Thread.signalling;
    this.writing = this.record + Thread.writing;
    const { pid, tid, startTime } = platform.self();
    words.set(this.record + Thread.pid, pid);
    words.set(this.record + Thread.tid, tid);
    words.set(this.record + Thread.startLow, startTime | 0);
    words.set(this.record + Thread.startHigh, Math.floor(startTime / 2 ** 32));
  }

  /**
   * Takes a free thread record. It cannot come from the pool's free list, which is guarded by a mutex whose
   * owner is a thread record: so each record's state word is claimed by compare-exchange.
   */
  private claim(): number {
    const { words, pool } = this;
    for (let slot = 0; slot < pool.capacity; slot++) {
      const record = pool.at(slot);
      if (words.compareExchange(record + Thread.state, State.free, State.attached) !== State.free) continue;
      for (;;) {
        const seen = words.load(Header.threads);
        if (seen <= slot && words.compareExchange(Header.threads, seen, slot + 1) !== seen) continue;
        return record;
      }
    }
    throw new IrqBypassError(
      "ENOMEM",
      `all ${pool.capacity} threads of this host are attached: raise capacity.thread`,
    );
  }

  /** Gives the record back. The caller has torn down what the thread owned. */
  detach(): void {
    const { words } = this;
    if (words.load(this.signalling) !== 0 || words.load(this.writing) !== 0)
      broken("a thread detached in mid-flight");
    this.left = true;
    for (let word = Thread.pid; word < Thread.signalling; word++) words.set(this.record + word, 0);
    words.store(this.record + Thread.state, State.free);
  }

  /**
   * Looks for about 5 us, until `look` says that it has what it waits for; false if the thread is to sleep now. At most
   * one thread less than there are cores looks at a time: one more could keep whoever has the answer from its core. A
   * thread that may not sleep looks for as long as it takes to give up.
   */
  spin(look: () => boolean): boolean {
    const { words, mayBlock, platform } = this;
    if (mayBlock && platform.cores < 2) return false;
    try {
      if (words.add(Header.looking, 1) >= platform.cores - 1 && mayBlock) return false;
      for (let left = mayBlock ? SPINS : SPINS_WITHOUT_SLEEP; left > 0; left--) {
        if (look()) return true;
        words.relax();
      }
      return false;
    } finally {
      words.add(Header.looking, -1);
    }
  }

  /** `Words.wait`. */
  park(word: number, expected: number, timeoutMs: number): "ok" | "not-equal" | "timed-out" {
    return this.words.wait(word, expected, timeoutMs);
  }

  /** `Words.waitAsync`, which ends early when `signal` is aborted, and keeps the event loop alive. */
  async parkAsync(word: number, expected: number, timeoutMs: number, signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted();
    const release = this.platform.hold();
    // Nothing can call off a waiter but a wake-up, and a wake-up too many is harmless to every waiter here.
    const wake = () => this.words.notify(word);
    signal?.addEventListener("abort", wake, { once: true });
    try {
      await this.words.waitAsync(word, expected, timeoutMs);
    } finally {
      signal?.removeEventListener("abort", wake);
      release();
    }
    signal?.throwIfAborted();
  }

  /** Records that this thread can do what kind `kind` needs. */
  grant(kind: number): void {
    const word = this.record + Thread.capable;
    this.words.set(word, this.words.get(word) | (1 << kind));
  }

  /** Clears an in-flight word, and wakes the fence that waits for it. */
  leave(inflight: number): void {
    if (this.words.exchange(inflight, 0) & WAITED) this.words.notify(inflight);
  }

  /**
   * Waits until this in-flight word of another thread no longer names `what`. What it waits for is a few steps
   * that wait for nobody, so it is short; it must not be called while holding the host mutex.
   */
  fence(inflight: number, what: number): void {
    const { words } = this;
    for (let look = 0; look < FENCE_LOOKS; look++) {
      if ((words.load(inflight) & ~WAITED) !== what) return;
      words.relax();
    }
    for (;;) {
      // The bit must be in the word before this thread sleeps, or `leave` would not wake it.
      const seen = words.load(inflight);
      if ((seen & ~WAITED) !== what) return;
      if (seen !== (what | WAITED) && words.compareExchange(inflight, what, what | WAITED) !== what) continue;
      if (!this.mayBlock) words.relax();
      // A thread that is gone does nothing more, in flight or not.
      else if (this.park(inflight, what | WAITED, FENCE_PROBE_MS) === "timed-out" && this.isGone(inflight))
        return;
    }
  }

  private isGone(inflight: number): boolean {
    const slot = Math.floor((inflight - this.pool.base) / this.pool.stride);
    return this.platform.alive(this.osThread(this.pool.at(slot))) === false;
  }

  /** The fence over one kind of in-flight word of every attached thread. */
  fenceAll(kind: Thread.signalling | Thread.writing, what: number): void {
    const threads = this.words.load(Header.threads);
    for (let slot = 0; slot < threads; slot++) {
      const record = this.pool.at(slot);
      if (record !== this.record) this.fence(record + kind, what);
    }
  }

  /**
   * Waits until whatever the other threads are signalling, writing or relaying at this moment is through (a grace
   * period): what was made unreachable before is used by nobody after. O(threads). As `fence`, not under a mutex.
   */
  quiesce(): void {
    const { words, pool } = this;
    const threads = words.load(Header.threads);
    for (let slot = 0; slot < threads; slot++) {
      const record = pool.at(slot);
      if (record === this.record) continue;
      for (const inflight of [record + Thread.signalling, record + Thread.writing]) {
        const what = words.load(inflight) & ~WAITED;
        if (what !== 0) this.fence(inflight, what);
      }
    }
  }

  /** Who a thread of this host is to the operating system. */
  osThread(record: number): OsThread {
    const { words } = this;
    return {
      pid: words.get(record + Thread.pid),
      tid: words.get(record + Thread.tid),
      startTime: words.get(record + Thread.startHigh) * 2 ** 32 + (words.get(record + Thread.startLow) >>> 0),
    };
  }

  probe(lockId: number, owns: () => boolean): void {
    if (lockId === 0) return;
    const owner = this.pool.at(lockId - 1);
    // Asked in this order: a thread that is gone gives nothing back any more.
    if (this.platform.alive(this.osThread(owner)) === false && owns()) {
      throw new IrqBypassError("EOWNERDEAD", `thread ${lockId - 1} ended while it held a lock of this host`, {
        subject: `thread ${lockId - 1}`,
      });
    }
  }
}
