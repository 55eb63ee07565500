import assert from "node:assert/strict";
import { test } from "node:test";
import { quantity, times } from "../harness/format.js";
import { ratio, spread } from "../harness/statistics.js";

test("median and quartiles lie between the neighbours in proportion", () => {
  assert.deepEqual(spread([5, 1, 3, 2, 4]), { median: 3, low: 2, high: 4 });
  assert.deepEqual(spread([4, 1]), { median: 2.5, low: 1.75, high: 3.25 });
});

test("a ratio is the median of the rounds' ratios, so that a slow moment of both sides cancels out", () => {
  assert.equal(ratio([20, 2000, 22], [10, 1000, 11]), 2);
});

test("figures have about three digits and a unit", () => {
  assert.equal(quantity(48.123, "ns"), "48.1 ns");
  assert.equal(quantity(999.7, "ns"), "1.0 us");
  assert.equal(quantity(2_000_000, "ns"), "2.0 ms");
  assert.equal(quantity(8.5, "bytes"), "8.5 B");
  assert.equal(quantity(12_345_678, "per second"), "12.3 M/s");
  assert.equal(times(1), "1.00x");
  assert.equal(times(14.23), "14.2x");
  assert.equal(times(20468), "20,468x");
});
