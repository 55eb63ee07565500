import type { AbortSignalLike } from "./argument.js";
import { sleepAsync } from "./asleep.js";
import { noRoom } from "./capacity.js";
import { deadlineOf, leftUntil } from "./deadline.js";
import { broken } from "./errors.js";
import { leave } from "./in-flight.js";
import { Header, LifeLock, Thread, ThreadState, Twin, WAITED } from "./layout.js";
import { askForLock, lockOf, type OwnLock } from "./life-lock.js";
import type { MutexThread } from "./mutex.js";
import { eachInFlight } from "./passing.js";
import type { OsThread, Platform } from "./platform.js";
import type { Pool } from "./pool.js";
import { lookOften, Spinning } from "./spinning.js";
import { Standing } from "./standing.js";
import { writeName } from "./thread-name.js";
import type { Words } from "./words.js";

/** Looks of a thread that may not sleep, after which it gives up. */
const SPINS_WITHOUT_SLEEP = 1_000_000;
const FENCE_LOOKS = 64;
const FENCE_PROBE_MS = 100;
/** One of so many calls that do not wait serves others: a power of two. */
const SERVES_EVERY = 64;
/** Lock ids have 30 bits. */
const LOCK_IDS = 2 ** 30;

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
  begun = false;
  /**
   * Called before a fence goes on that waits for a thread that is gone. Without it this thread repairs nothing: it waits for one that
   * does, and takes no mutex from a dead one.
   */
  repair: ((gone: number) => void) | undefined;
  private running: string | undefined;
  private notServed = 0;
  readonly standing: Standing;
  private readonly spinning: Spinning;
  private readonly os: OsThread;
  private readonly lock: OwnLock | undefined;

  /**
   * `name` is what {@link Thread.name} says.
   */
  constructor(
    private readonly words: Words,
    private readonly pool: Pool,
    private readonly platform: Platform,
    name = platform.threadName ?? "",
  ) {
    this.mayBlock = platform.mayBlock;
    this.os = platform.self();
    const { pid, tid, startTime, worker } = this.os;
    this.record = this.claim(worker);
    this.lockId = this.lockIdOf(this.record);
    this.standing = new Standing(words, this.record);
    this.spinning = new Spinning(words, platform, this.lockId);
    this.signalling = this.record + Thread.signalling;
    this.writing = this.record + Thread.writing;
    words.set(this.record + Thread.pid, pid);
    words.set(this.record + Thread.startLow, startTime | 0);
    words.set(this.record + Thread.startHigh, Math.floor(startTime / 2 ** 32));
    writeName(words, this.record, name);
    words.store(this.record + Thread.since, words.load(Header.ticks));
    words.store(this.record + Thread.tid, tid); // last: who finds it finds the others, and may ask whether the thread lives
    this.meetTwins();
    if (platform.locks !== undefined) this.lock = askForLock(words, platform.locks, this.record);
  }

  /** Resolves as soon as others can tell that this thread has ended: true; false where nothing tells it, or it has left. */
  async provable(): Promise<boolean> {
    return this.lock === undefined ? this.os.tid !== 0 : this.lock.held;
  }

  /** The other records of this thread, which has attached before, learn of this one, and it of them. */
  private meetTwins(): void {
    if (this.tellTwins(Twin.met)) this.words.store(this.record + Thread.twin, Twin.met);
  }

  /** Returns whether there are any. */
  private tellTwins(what: Twin): boolean {
    const { words, pool, record } = this;
    let told = false;
    for (let slot = words.load(Header.threads) - 1; slot >= 0; slot--) {
      const other = pool.at(slot);
      if (other === record || !this.isMine(other)) continue;
      words.store(other + Thread.twin, what);
      told = true;
    }
    return told;
  }

  /**
   * Takes a free thread record. It cannot come from the pool's free list, which is guarded by a mutex whose
   * owner is a thread record: so each record's state word is claimed by compare-exchange.
   */
  private claim(worker: number): number {
    const { words, pool } = this;
    // One word says that it is taken and by whom: a thread that dies in its first steps is found by it.
    const attached = (worker << ThreadState.workerShift) | ThreadState.attached;
    for (let slot = 0; slot < pool.capacity; slot++) {
      const record = pool.at(slot);
      if (words.compareExchange(record + Thread.state, ThreadState.free, attached) !== ThreadState.free)
        continue;
      for (;;) {
        const seen = words.load(Header.threads);
        if (seen <= slot && words.compareExchange(Header.threads, seen, slot + 1) !== seen) continue;
        return record;
      }
    }
    throw noRoom("thread", pool.capacity);
  }

  /** Runs a callback of a kind, which may call nothing that takes a mutex, through this view of the host or another. */
  runCallback<T>(name: string, callback: () => T): T {
    const { words, record } = this;
    const hasTwin = words.load(record + Thread.twin) !== Twin.none;
    this.running = name;
    if (hasTwin) this.tellTwins(Twin.inCallback);
    try {
      return callback();
    } finally {
      if (hasTwin) this.tellTwins(Twin.met);
      this.running = undefined;
    }
  }

  /** The callback of a kind that the calling thread is in, undefined outside of them. */
  get callback(): string | undefined {
    if (this.running !== undefined) return this.running;
    const twin = this.words.load(this.record + Thread.twin);
    return twin === Twin.inCallback ? "of another Host object of this thread" : undefined;
  }

  /** Is this a record of the calling thread, the one of this view or another? False where threads have no names. */
  isMine(record: number): boolean {
    const { words, os, pool } = this;
    if (record === this.record) return true;
    if (!pool.has(record)) return false; // of a damaged word
    // First, because it is set last and cleared first: the rest of another thread's record may be about to change.
    if (words.load(record + Thread.tid) !== os.tid) return false;
    const { pid, tid, startTime, worker } = this.osThread(record);
    const isSame = pid === os.pid && tid === os.tid && startTime === os.startTime && worker === os.worker;
    return isSame && pid !== 0;
  }

  /** Gives the record back. The caller has torn down what the thread owned. */
  detach(): void {
    const { words } = this;
    if (words.load(this.signalling) !== 0 || words.load(this.writing) !== 0)
      broken("a thread detached in mid-flight");
    this.left = true;
    this.free(this.record);
    this.lock?.release(); // after that, or whoever waits for it would take it for a death
    this.standing.end(); // its waits see that it has left
  }

  /** Says that this thread comes to its own end, without an error: what it has left then, others tear down. */
  endsWell(): void {
    if (!this.left) this.words.or(this.record + Thread.state, ThreadState.ended);
  }

  /** Gives the record of a thread back that does nothing any more. */
  free(record: number): void {
    const { words } = this;
    words.store(record + Thread.tid, 0); // first, for the same reason
    for (const word of [Thread.twin, Thread.loading, Thread.ending, Thread.lock, Thread.since, Thread.waits])
      words.store(record + word, 0);
    for (const word of [Thread.pid, Thread.startLow, Thread.startHigh, Thread.capable])
      words.set(record + word, 0);
    for (const word of [Thread.descriptor, Thread.descriptor2]) words.set(record + word, 0);
    // Before the state: whoever has the record next has another lock id.
    words.add(record + Thread.life, 1);
    words.store(record + Thread.state, ThreadState.free);
  }

  /** What the mutexes call a thread: the number of its record, and which thread it is that has had it. Never 0. */
  lockIdOf(record: number, life = this.words.load(record + Thread.life)): number {
    const { pool } = this;
    const lives = Math.floor(LOCK_IDS / pool.capacity) - 1;
    return ((life >>> 0) % lives) * pool.capacity + pool.slot(record) + 1;
  }

  /** The record of a lock id. */
  recordOf(lockId: number): number {
    return this.pool.at((lockId - 1) % this.pool.capacity);
  }

  /**
   * Looks for a moment, until `look` says that it has what it waits for; false if the thread is to sleep now. A thread that may not
   * sleep looks for as long as it takes to give up.
   */
  spin(look: () => boolean): boolean {
    return this.mayBlock ? this.spinning.now(look) === true : this.spinOn(look);
  }

  /** The same until `word` holds something else than `seen`, before a wait sleeps: it looks only as long as that has paid. */
  spinBeforeSleep(word: number, seen: number): boolean {
    return this.mayBlock
      ? this.spinning.beforeSleep(word, seen)
      : this.spinOn(() => this.words.load(word) !== seen);
  }

  private spinOn(look: () => boolean): boolean {
    return lookOften(this.words, SPINS_WITHOUT_SLEEP, look);
  }

  /**
   * In the thread that created the host: does what others have asked it for, and returns after how many milliseconds at the
   * latest it is to look again. Called in each of its waits.
   */
  serve: (() => number) | undefined;

  /**
   * The same in calls that do not wait, one time of many: those that take a mutex, and looks that find nothing. So a loop of them serves
   * as well; one that finds what it looks for pays nothing.
   */
  serveAtTimes(): void {
    if (this.serve === undefined) return;
    this.notServed = (this.notServed + 1) % SERVES_EVERY;
    if (this.notServed === 0) this.serve();
  }

  /** `Words.wait`, in which the thread serves others too. */
  park(word: number, expected: number, timeoutMs: number): "ok" | "not-equal" | "timed-out" {
    this.standing.block(word);
    const result = this.sleep(word, expected, timeoutMs);
    this.standing.unblock();
    return result;
  }

  private sleep(word: number, expected: number, timeoutMs: number): "ok" | "not-equal" | "timed-out" {
    const { words, serve } = this;
    if (serve === undefined) return words.wait(word, expected, timeoutMs);
    const deadline = deadlineOf(words, timeoutMs);
    for (;;) {
      const slice = serve();
      const left = Math.max(0, leftUntil(words, deadline));
      const result = words.wait(word, expected, Math.min(slice, left));
      if (result !== "timed-out" || left <= slice) return result;
    }
  }

  /** `Words.waitAsync`, which ends early when `signal` is aborted or this thread leaves, and keeps the event loop alive. */
  parkAsync(word: number, expected: number, timeoutMs: number, signal?: AbortSignalLike): Promise<void> {
    const begin = (wake: () => void) => {
      const wait = { word, since: 0, wake };
      this.standing.add(wait);
      return () => this.standing.remove(wait);
    };
    return sleepAsync(this.words, this.platform, word, expected, timeoutMs, signal, begin);
  }

  /** Records that this thread can do what kind `kind` needs. */
  grant(kind: number): void {
    const word = this.record + Thread.capable;
    this.words.set(word, this.words.get(word) | (1 << kind));
  }

  /** Clears an in-flight word, and wakes the fence that waits for it. */
  leave(inflight: number): void {
    leave(this.words, inflight);
  }

  /**
   * Waits until this in-flight word of another thread no longer names `what`. What it waits for is a few steps
   * that wait for nobody, so it is short; it must not be called while holding the host mutex.
   */
  fence(inflight: number, what: number): void {
    const { words } = this;
    const looks = this.mayBlock && this.platform.cores < 2 ? 0 : FENCE_LOOKS;
    for (let look = 0; look < looks; look++) {
      if ((words.load(inflight) & ~WAITED) !== what) return;
      words.relax();
    }
    for (;;) {
      // The bit must be in the word before this thread sleeps, or `leave` would not wake it.
      const seen = words.load(inflight);
      if ((seen & ~WAITED) !== what) return;
      if (seen !== (what | WAITED) && words.compareExchange(inflight, what, what | WAITED) !== what) continue;
      const record = this.pool.at(Math.floor((inflight - this.pool.base) / this.pool.stride));
      const { repair } = this;
      // At once where it is known: who waits here may be the one that repairs after it.
      if (repair !== undefined && words.load(record + Thread.state) & ThreadState.lost) repair(record);
      else if (!this.mayBlock) words.relax();
      else if (this.park(inflight, what | WAITED, FENCE_PROBE_MS) === "timed-out" && this.isDead(record))
        repair?.(record);
    }
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
    eachInFlight(this.words, this.pool, this.record, (inflight, what) => this.fence(inflight, what));
  }

  /** Is it proven that the thread of this record has ended? False for a record that nobody has. */
  isDead(record: number): boolean {
    const { words, platform } = this;
    const state = words.load(record + Thread.state);
    if (state === ThreadState.free) return false;
    if (state & ThreadState.lost) return true;
    const who = this.osThread(record);
    if (who.tid === 0 || platform.alive(who) !== false) return false;
    // What was read belongs together if the record is still that thread's.
    return (
      words.load(record + Thread.tid) === who.tid && words.load(record + Thread.state) !== ThreadState.free
    );
  }

  /** Is it known that the thread of this record is alive: by the platform, or by its lock, which somebody waits for? */
  isAlive(record: number): boolean {
    const { words, platform } = this;
    const state = words.load(record + Thread.state);
    if (state === ThreadState.free || state & ThreadState.lost) return false;
    if (platform.alive(this.osThread(record)) === true) return true;
    return words.load(Header.watcher) !== 0 && lockOf(words, record) === LifeLock.held;
  }

  /** The records of the threads in a worker of this process. */
  recordsOf(worker: number): number[] {
    const { words, pool } = this;
    const { pid } = this.os; // not asked again: that takes a descriptor
    const found: number[] = [];
    if (worker <= 0) return found; // the main thread's number, and that of every thread of a page
    for (let slot = 0; slot < words.load(Header.threads); slot++) {
      const record = pool.at(slot);
      const state = words.load(record + Thread.state);
      if (state === ThreadState.free || state >>> ThreadState.workerShift !== worker) continue;
      const itsPid = words.get(record + Thread.pid); // 0 while it attaches
      if (itsPid === pid || itsPid === 0) found.push(record);
    }
    return found;
  }

  /** Who a thread of this host is to the operating system. */
  osThread(record: number): OsThread {
    const { words } = this;
    return {
      pid: words.get(record + Thread.pid),
      tid: words.load(record + Thread.tid),
      startTime: words.get(record + Thread.startHigh) * 2 ** 32 + (words.get(record + Thread.startLow) >>> 0),
      worker: words.load(record + Thread.state) >>> ThreadState.workerShift,
    };
  }

  isGone(lockId: number): boolean {
    if (this.repair === undefined) return false;
    const record = this.recordOf(lockId);
    // One that has left the record took no mutex along: that word is what a dead one left, or damage.
    const left =
      this.words.load(record + Thread.state) === ThreadState.free || this.lockIdOf(record) !== lockId;
    return left || this.isDead(record);
  }
}
