/**
 * Who waits for the end of threads by the locks of their lives, where the platform says nothing of it: whoever created the host, and
 * a page's main thread, which never blocks, wait for all others; the others for whoever does that. A lock that comes is the proof,
 * and what was left is repaired at once. It takes the event loop of the thread that waits: one that blocks hears of it when it
 * returns there.
 */
import type { BypassHost } from "../bypass/bypass-host.js";
import { Header, LifeLock, Thread } from "../host/layout.js";
import { lockName, lockOf, sayHeld } from "../host/life-lock.js";
import { BusyError } from "../host/mutex.js";
import type { ThreadLocks } from "../host/platform.js";
import { hasWaitAsync } from "../host/words.js";
import { loseThread } from "./lost-thread.js";

/** How often threads are looked up that cannot say that they have their locks, or of which no wait on the event loop tells. */
const LOOK_MS = 1000;
/** A page's main thread is refused a mutex that is busy: then it tries again. */
const RETRY_MS = 10;

/** The wait of one thread for the end of others. */
export class DeathWatch {
  /** What calls off the wait for each lock, by its name. */
  private readonly awaited = new Map<string, () => void>();
  private readonly stopLooks: () => void;
  private over = false;

  /** `ofAll`: for a thread that waits for all others. */
  constructor(
    private readonly host: BypassHost,
    private readonly locks: ThreadLocks,
    private readonly ofAll: boolean,
  ) {
    this.stopLooks = ofAll ? host.platform.every(LOOK_MS, () => this.look()) : () => {};
    void this.hear();
  }

  /** Waits from here on for those who have got their locks meanwhile. */
  private look(): void {
    const { words, thread } = this.host;
    if (this.ofAll) words.compareExchange(Header.watcher, 0, thread.record);
    const asked = this.others(LifeLock.asked);
    for (const { record, life, name } of this.others(LifeLock.held)) {
      if (!this.awaited.has(name)) this.await(record, life, name);
    }
    if (asked.length > 0) void this.lookUp(asked);
  }

  /** Waits for nobody any more. */
  end(): void {
    const { words, thread } = this.host;
    this.over = true;
    this.stopLooks();
    if (this.ofAll) words.compareExchange(Header.watcher, thread.record, 0);
    for (const stop of this.awaited.values()) stop();
    words.notify(Header.locks);
  }

  /** Looks whenever somebody has asked for a lock or has got it, or there is nobody any more who waits for all. */
  private async hear(): Promise<void> {
    const { words } = this.host;
    while (!this.over) {
      const seen = words.load(Header.locks);
      this.look();
      if (!hasWaitAsync()) return;
      await words.waitAsync(Header.locks, seen, Infinity);
    }
  }

  /** A thread that blocks cannot say that it has got its lock: the platform is asked. */
  private async lookUp(asked: readonly Other[]): Promise<void> {
    const held = await this.locks.held();
    if (this.over || held === undefined) return;
    for (const { record, life, name } of asked)
      if (held.includes(name)) sayHeld(this.host.words, record, life);
  }

  private await(record: number, life: number, name: string): void {
    const stop = this.locks.request(name, "shared", () => {
      stop();
      this.awaited.delete(name);
      this.ended(record, life);
    });
    this.awaited.set(name, stop);
  }

  /** That thread has ended, or has left the host: then its record is another life's. */
  private ended(record: number, life: number): void {
    const { host } = this;
    if (this.over) return;
    host.thread.begun = false;
    try {
      loseThread(host, record, life);
    } catch (error) {
      if (!(error instanceof BusyError)) throw error;
      const stop = host.platform.every(RETRY_MS, () => {
        stop();
        this.ended(record, life);
      });
    }
  }

  /** The threads whose end is waited for, of those whose lock is in this state. */
  private others(state: LifeLock): Other[] {
    const { words, thread, pools } = this.host;
    const watcher = words.load(Header.watcher);
    const found: Other[] = [];
    for (let slot = 0; slot < words.load(Header.threads); slot++) {
      const record = pools.thread.at(slot);
      if (record === thread.record || (!this.ofAll && record !== watcher)) continue;
      const life = words.load(record + Thread.life);
      if (lockOf(words, record) === state) found.push({ record, life, name: lockName(words, record, life) });
    }
    return found;
  }
}

interface Other {
  readonly record: number;
  readonly life: number;
  readonly name: string;
}
