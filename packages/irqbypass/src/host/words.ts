import { IrqBypassError } from "./errors.js";

/**
 * The one seam to shared memory. Every access of the library to a shared word is a call of this interface, so
 * that another implementation can count, trace or schedule the accesses of the shipped code. The functions in
 * `compiled.ts` are written against it too, and become instructions on the same words where nobody looks on.
 *
 * A word is a signed 32-bit integer, named by its index from the start of the host. Words are of two classes
 * (`layout/` says which is which): an *atomic* word may be touched by any thread at any time, and each access
 * is one step of the schedule; a *guarded* word is a plain access, allowed only while holding the mutex that its
 * record names. One word has one width: only the pairs that the layout marks as 64 bits wide are touched as such.
 */
export interface Words {
  /** Atomic read. */
  load(word: number): number;
  /** Atomic write. */
  store(word: number, value: number): void;
  /** Atomic read-modify-write; each returns the value before. */
  or(word: number, value: number): number;
  /** Atomic and; the value before. */
  and(word: number, value: number): number;
  /** Atomic addition; the value before. */
  add(word: number, value: number): number;
  /** Atomic exchange; the value before. */
  exchange(word: number, value: number): number;
  /** Writes `value` if the word holds `expected`; returns what it held. */
  compareExchange(word: number, expected: number, value: number): number;

  /** The same on a 64-bit pair; `word` is even. */
  load64(word: number): bigint;
  /** Atomic write of a pair. */
  store64(word: number, value: bigint): void;
  /** As `compareExchange`, of a pair. */
  compareExchange64(word: number, expected: bigint, value: bigint): bigint;

  /**
   * Blocks while the word holds `expected`, at most `timeoutMs` (Infinity for no limit). Throws TypeError on a
   * thread that may not block.
   */
  wait(word: number, expected: number, timeoutMs: number): "ok" | "not-equal" | "timed-out";
  /** The same without blocking the thread. Does not keep the event loop alive by itself. */
  waitAsync(word: number, expected: number, timeoutMs: number): Promise<"ok" | "not-equal" | "timed-out">;
  /** Wakes up to `count` waiters (all, where absent) of the word; returns how many. */
  notify(word: number, count?: number): number;
  /** Said once in each retry loop: the loop cannot go on before another thread has written something. */
  relax(): void;
  /** Milliseconds on a monotonic clock, with fractions; comparable within one thread only. */
  clock(): number;

  /** Plain read and write of a guarded word. */
  get(word: number): number;
  /** Plain write of a guarded word. */
  set(word: number, value: number): void;
  /**
   * Plain write of what `make` returns. Where this is there, nothing comes between the return and the write at which the thread could
   * be ended: see `linux/descriptor.ts`. Absent where each access is looked at.
   */
  fill?(word: number, make: () => number): void;
}

/** Can a thread wait without blocking? */
export function hasWaitAsync(): boolean {
  return typeof Atomics.waitAsync === "function";
}

/** Throws EOPNOTSUPP where none can. */
export function checkWaitAsync(): void {
  if (hasWaitAsync()) return;
  throw new IrqBypassError(
    "EOPNOTSUPP",
    "this platform has no Atomics.waitAsync: wait in a worker, by a call that blocks, or use a newer browser",
  );
}

/** Bytes of a word. */
export const WORD_BYTES = 4;

/** The real thing: `Atomics` and plain accesses on one shared buffer. */
export class SharedWords implements Words {
  private readonly words: Int32Array<SharedArrayBuffer>;
  private readonly pairs: BigInt64Array<SharedArrayBuffer>;

  /** `byteOffset` is a multiple of 64, `length` counts words. */
  constructor(
    buffer: SharedArrayBuffer,
    byteOffset: number,
    length: number,
    readonly clock: () => number = () => performance.now(),
  ) {
    this.words = new Int32Array(buffer, byteOffset, length);
    this.pairs = new BigInt64Array(buffer, byteOffset, length >> 1);
  }

  load(word: number): number {
    return Atomics.load(this.words, word);
  }
  store(word: number, value: number): void {
    Atomics.store(this.words, word, value);
  }
  or(word: number, value: number): number {
    return Atomics.or(this.words, word, value);
  }
  and(word: number, value: number): number {
    return Atomics.and(this.words, word, value);
  }
  add(word: number, value: number): number {
    return Atomics.add(this.words, word, value);
  }
  exchange(word: number, value: number): number {
    return Atomics.exchange(this.words, word, value);
  }
  compareExchange(word: number, expected: number, value: number): number {
    return Atomics.compareExchange(this.words, word, expected, value);
  }

  load64(word: number): bigint {
    return Atomics.load(this.pairs, word >> 1);
  }
  store64(word: number, value: bigint): void {
    Atomics.store(this.pairs, word >> 1, value);
  }
  compareExchange64(word: number, expected: bigint, value: bigint): bigint {
    return Atomics.compareExchange(this.pairs, word >> 1, expected, value);
  }

  wait(word: number, expected: number, timeoutMs: number): "ok" | "not-equal" | "timed-out" {
    return Atomics.wait(this.words, word, expected, timeoutMs);
  }
  async waitAsync(
    word: number,
    expected: number,
    timeoutMs: number,
  ): Promise<"ok" | "not-equal" | "timed-out"> {
    checkWaitAsync();
    return Atomics.waitAsync(this.words, word, expected, timeoutMs).value;
  }
  notify(word: number, count?: number): number {
    return Atomics.notify(this.words, word, count);
  }
  relax(): void {}

  get(word: number): number {
    return this.words[word]!;
  }
  set(word: number, value: number): void {
    this.words[word] = value;
  }
  fill(word: number, make: () => number): void {
    this.words[word] = make(); // no call of `set`: the thread could be ended at its entry
  }
}
