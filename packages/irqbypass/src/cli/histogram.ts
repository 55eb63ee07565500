/**
 * A latency histogram of fixed size on a log scale, in shared words that one thread writes and any thread reads.
 *
 * Every power of two is split into 16 buckets, so a percentile is off by at most 1/32 of its value; below 32 ns
 * each value has its own bucket.
 */

const SPLIT = 16;
/** Values below this are counted exactly. */
const EXACT = 2 * SPLIT;
const EXACT_BITS = 5;
/** Longest latency told apart, 2^36 ns (69 s); longer ones count as this. */
const MAX_BITS = 36;

/** Words that one histogram takes. */
export const HISTOGRAM_WORDS = EXACT + (MAX_BITS - EXACT_BITS) * SPLIT;

/** The bucket of a value in nanoseconds. */
export function bucketOf(ns: number): number {
  const value = Math.min(Math.max(0, Math.floor(ns)), 2 ** MAX_BITS - 1);
  if (value < EXACT) return value;
  const bits = value < 2 ** 32 ? 31 - Math.clz32(value) : 63 - Math.clz32(value / 2 ** 32);
  const step = 2 ** (bits - 4);
  return EXACT + (bits - EXACT_BITS) * SPLIT + (Math.floor(value / step) - SPLIT);
}

/** The values that one bucket counts: from `low` up to, but not including, `high`. */
export function bucketRange(bucket: number): { low: number; high: number } {
  if (bucket < EXACT) return { low: bucket, high: bucket + 1 };
  const step = 2 ** (Math.floor((bucket - EXACT) / SPLIT) + EXACT_BITS - 4);
  const low = (((bucket - EXACT) % SPLIT) + SPLIT) * step;
  return { low, high: low + step };
}

/** Adds one latency in nanoseconds. Does not block. */
export function record(words: Int32Array, ns: number): void {
  Atomics.add(words, bucketOf(ns), 1);
}

/** Adds all counts of `from` to `into`. */
export function merge(into: Int32Array, from: Int32Array): void {
  for (let i = 0; i < HISTOGRAM_WORDS; i++) into[i] = (into[i] ?? 0) + Atomics.load(from, i);
}

/**
 * The latency in nanoseconds that a share of the samples does not exceed (nearest rank), as the middle of its
 * bucket; `null` without samples.
 * @param share from 0 to 1; 0.99 for p99.
 */
export function percentile(words: Int32Array, share: number): number | null {
  let total = 0;
  for (let i = 0; i < HISTOGRAM_WORDS; i++) total += Atomics.load(words, i);
  if (total === 0) return null;
  const rank = Math.max(1, Math.ceil(total * share));
  let passed = 0;
  for (let i = 0; i < HISTOGRAM_WORDS; i++) {
    passed += Atomics.load(words, i);
    if (passed >= rank) {
      const { low, high } = bucketRange(i);
      return Math.floor((low + high) / 2);
    }
  }
  return null;
}
