import assert from "node:assert/strict";
import { test } from "node:test";
import { duration, perSecond, plural, seconds, short } from "#src/cli/units.js";

test("counts in few characters", () => {
  const shown = [
    0, 7, 999, 999.5, 1000, 1234, 9949, 9950, 99_499, 999_499, 999_500, 1_234_567, 4.2e9, 5e12,
  ].map(short);
  assert.deepEqual(shown, [
    ...[
      "0",
      "7",
      "999",
      "1.0 k",
      "1.0 k",
      "1.2 k",
      "9.9 k",
      "10 k",
      "99 k",
      "999 k",
      "1.0 M",
      "1.2 M",
      "4.2 G",
    ],
    "5,000 G",
  ]);
});

test("times in few characters", () => {
  const shown = [null, 0, 850, 999.4, 999.6, 3100, 12_400, 1_500_000, 999_600, 2e9, 1e12].map(duration);
  assert.deepEqual(shown, [
    ...["-", "0 ns", "850 ns", "999 ns", "1.0 us", "3.1 us", "12 us", "1.5 ms", "1.0 ms", "2.0 s", "1,000 s"],
  ]);
});

test("rates, seconds and plurals", () => {
  assert.deepEqual([perSecond(12), perSecond(1.24e6)], ["12/s", "1.2 M/s"]);
  assert.deepEqual([seconds(5), seconds(3.249)], ["5 s", "3.2 s"]);
  assert.deepEqual([plural(1, "queue"), plural(2000, "queue")], ["1 queue", "2,000 queues"]);
});
