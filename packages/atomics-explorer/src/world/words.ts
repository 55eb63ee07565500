/**
 * The seam to shared memory: code that is explored reaches its shared words through this interface, so that each access is
 * a step that the explorer can order. Any object of this shape is one; code that uses `Atomics` instead goes through
 * {@link sharedArray}.
 *
 * A word is a signed 32-bit integer, named by its index. An *atomic* word may be touched by any thread at any time; a
 * *guarded* word is touched plainly, by one thread at a time. One word has one width.
 */
export interface Words {
  /** Atomic read. */
  load(word: number): number;
  /** Atomic write. */
  store(word: number, value: number): void;
  /** Atomic or; the value before. */
  or(word: number, value: number): number;
  /** Atomic and; the value before. */
  and(word: number, value: number): number;
  /** Atomic addition; the value before. */
  add(word: number, value: number): number;
  /** Atomic exchange; the value before. */
  exchange(word: number, value: number): number;
  /** Writes `value` if the word holds `expected`; returns what it held. */
  compareExchange(word: number, expected: number, value: number): number;

  /** Atomic read of a 64-bit pair; `word` is even. */
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

  /** Plain read of a guarded word. */
  get(word: number): number;
  /** Plain write of a guarded word. */
  set(word: number, value: number): void;
}
