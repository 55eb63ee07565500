import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { bucketOf, bucketRange, HISTOGRAM_WORDS, merge, percentile, record } from "#src/cli/histogram.js";

const nanoseconds = fc.oneof(fc.nat(100), fc.nat(1_000_000), fc.maxSafeNat());

test("every value is in the range of its bucket, and the ranges leave no gap", () => {
  let next = 0;
  for (let bucket = 0; bucket < HISTOGRAM_WORDS; bucket++) {
    const { low, high } = bucketRange(bucket);
    assert.equal(low, next);
    assert.equal(bucketOf(low), bucket);
    assert.equal(bucketOf(high - 1), bucket);
    next = high;
  }
  assert.equal(next, 2 ** 36);
  assert.equal(bucketOf(Number.MAX_SAFE_INTEGER), HISTOGRAM_WORDS - 1);
  assert.equal(bucketOf(-5), 0);
});

test("a percentile is within 1/32 of the exact one by nearest rank", () => {
  fc.assert(
    fc.property(
      fc.array(nanoseconds, { minLength: 1, maxLength: 200 }),
      fc.integer({ min: 1, max: 100 }),
      (values, p) => {
        const words = new Int32Array(new SharedArrayBuffer(HISTOGRAM_WORDS * 4));
        for (const value of values) record(words, value);
        const sorted = values.map((value) => Math.min(value, 2 ** 36 - 1)).sort((a, b) => a - b);
        const exact = sorted[Math.ceil((sorted.length * p) / 100) - 1] ?? 0;
        const found = percentile(words, p / 100) ?? Number.NaN;
        assert.ok(Math.abs(found - exact) <= exact / 32 + 1, `p${p}: ${found} for ${exact}`);
      },
    ),
  );
});

test("merged histograms are the histogram of all values", () => {
  fc.assert(
    fc.property(fc.array(nanoseconds), fc.array(nanoseconds), (a, b) => {
      const of = (values: number[]) => {
        const words = new Int32Array(HISTOGRAM_WORDS);
        for (const value of values) record(words, value);
        return words;
      };
      const merged = of(a);
      merge(merged, of(b));
      assert.deepEqual(merged, of([...a, ...b]));
    }),
  );
});

test("without samples there is no percentile", () => {
  assert.equal(percentile(new Int32Array(HISTOGRAM_WORDS), 0.5), null);
});
