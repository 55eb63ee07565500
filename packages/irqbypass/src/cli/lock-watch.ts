import { Header } from "../host/layout.js";
import { SharedWords } from "../host/words.js";
import { record } from "./histogram.js";

/** The words of a host that also notes how long the calling thread waits for the host mutex. */
export class LockWatch extends SharedWords {
  /** Times the mutex was taken, those that waited for it, and sleeps meanwhile. */
  taken = 0;
  contended = 0;
  parks = 0;
  waitedNs = 0;
  longestNs = 0;
  private waitingSince = 0;

  constructor(
    buffer: SharedArrayBuffer,
    byteOffset: number,
    length: number,
    /** A histogram of `cli/histogram.ts`; times that did not wait are not in it. */
    private readonly waits: Int32Array,
  ) {
    super(buffer, byteOffset, length);
  }

  override compareExchange(word: number, expected: number, value: number): number {
    const seen = super.compareExchange(word, expected, value);
    // From 0 to an owner: an attempt to take it. Other exchanges of this word announce a sleeper.
    if (word === Header.mutex && expected === 0) {
      if (seen !== 0) this.waitingSince ||= performance.now();
      else this.acquired();
    }
    return seen;
  }

  override wait(word: number, expected: number, timeoutMs: number): "ok" | "not-equal" | "timed-out" {
    if (word === Header.mutex) this.parks += 1;
    return super.wait(word, expected, timeoutMs);
  }

  /** Forgets what it has counted; the histogram is the caller's. */
  reset(): void {
    this.taken = this.contended = this.parks = this.waitedNs = this.longestNs = 0;
  }

  private acquired(): void {
    this.taken += 1;
    if (this.waitingSince === 0) return;
    const ns = (performance.now() - this.waitingSince) * 1e6;
    this.waitingSince = 0;
    this.contended += 1;
    this.waitedNs += ns;
    this.longestNs = Math.max(this.longestNs, ns);
    record(this.waits, ns);
  }
}
