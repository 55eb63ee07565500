import type { Host } from "irqbypass";
import { record } from "irqbypass/internal/cli/histogram.js";

/**
 * Notes how long the calling thread waits for the host mutex, from when it has found it taken. It looks at the slow path
 * only, so that compiled code stays in use.
 */
export class LockWaits {
  /** Times it was waited for, and sleeps meanwhile. */
  contended = 0;
  parks = 0;
  waitedNs = 0;
  longestNs = 0;

  /** `waits` is a histogram of `cli/histogram.ts`; times that did not wait are not in it. */
  constructor(
    host: Host,
    private readonly waits: Int32Array,
  ) {
    const mutex = host.mutex as unknown as { lockSlowly(mine: number, over?: () => boolean): boolean };
    const lockSlowly = mutex.lockSlowly.bind(mutex);
    mutex.lockSlowly = (mine, over) => {
      const since = performance.now();
      const taken = lockSlowly(mine, over);
      this.note((performance.now() - since) * 1e6);
      return taken;
    };
    const { thread } = host;
    const park = thread.park.bind(thread);
    thread.park = (word, expected, timeoutMs) => {
      this.parks += 1;
      return park(word, expected, timeoutMs);
    };
  }

  /** Forgets what it has counted; the histogram is the caller's. */
  reset(): void {
    this.contended = this.parks = this.waitedNs = this.longestNs = 0;
  }

  private note(ns: number): void {
    this.contended += 1;
    this.waitedNs += ns;
    this.longestNs = Math.max(this.longestNs, ns);
    record(this.waits, ns);
  }
}
