import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { type CostPoint, figure, growth, judge, LIST_STEP_NS } from "#src/storm/judge.js";
import { stepCounts } from "#src/storm/steps.js";
import { seeded } from "./storm-kernel.fake.js";

const registered = { state: "yes", because: "the parameter is Y" } as const;
const unregistered = { state: "no", because: "the parameter is N" } as const;
const unknown = { state: "unknown", because: "there is no parameter" } as const;

/** Costs at the storm's own counts, each measured twice, with `noise` nanoseconds of scatter either way. */
function measured(upTo: number, cost: (count: number) => number, noise: number, seed = 7): CostPoint[] {
  const random = seeded(seed);
  return [...stepCounts(upTo), ...stepCounts(upTo)].map((count) => ({
    count,
    ns: cost(count) + (random() * 2 - 1) * noise,
  }));
}

test("a list walk is seen, whether its entries are in the cache or not", () => {
  for (const step of [0.8, 2, 10]) {
    const { verdict } = judge(growth(measured(10_000, (n) => 1500 + step * n, 400)), registered);
    assert.equal(verdict, "list", `${step} ns an entry`);
  }
  const cached = (n: number) => 1500 + Math.min(n, 3000) + Math.max(0, n - 3000) * 9;
  assert.equal(judge(growth(measured(10_000, cached, 400)), registered).verdict, "list");
});

test("a tree is not taken for a list", () => {
  const { verdict } = judge(growth(measured(10_000, (n) => 1500 + 8 * Math.log2(n), 400)), registered);
  assert.equal(verdict, "no list");
});

test("noise that could hide a list gives no verdict, in either direction", () => {
  for (let seed = 1; seed < 40; seed += 1) {
    const few = judge(growth(measured(316, () => 1500, 600, seed)), registered).verdict;
    assert.equal(few, "could not tell", `flat, seed ${seed}`);
  }
  const hidden = judge(growth(measured(1000, (n) => 1500 + n, 2000)), registered);
  assert.equal(hidden.verdict, "could not tell");
  assert.match(hidden.says, /Noise hides/);
});

test("a machine that became slower halfway is not taken for a list", () => {
  const points = stepCounts(10_000).flatMap((count, i, all) => [
    { count, ns: 1500 + i * 200 },
    { count, ns: 1500 + (2 * all.length - i) * 200 },
  ]);
  assert.notEqual(judge(growth(points), registered).verdict, "list");
});

test("where KVM registers no consumers, a flat cost is no answer", () => {
  const flat = growth(measured(10_000, () => 1500, 100));
  const no = judge(flat, unregistered);
  assert.equal(no.verdict, "cannot show");
  assert.match(no.says, /the parameter is N/);
  const maybe = judge(flat, unknown);
  assert.equal(maybe.verdict, "could not tell");
  assert.match(maybe.says, /there is no parameter/);
});

test("growth without registered consumers is not blamed on irqbypass", () => {
  const steep = growth(measured(10_000, (n) => 1500 + 5 * n, 100));
  const { verdict, says } = judge(steep, unregistered);
  assert.equal(verdict, "could not tell");
  assert.match(says, /something else/);
});

test("growth is evidence also where registration is unknown", () => {
  assert.equal(judge(growth(measured(10_000, (n) => 1500 + 5 * n, 100)), unknown).verdict, "list");
});

test("too few counts draw no line", () => {
  assert.equal(growth([]), null);
  assert.equal(growth(measured(10, () => 1, 0)), null);
  assert.equal(judge(null, registered).verdict, "could not tell");
  assert.equal(judge(null, unregistered).verdict, "cannot show");
});

test("an exact line is found again", () => {
  fc.assert(
    fc.property(
      fc.double({ min: -5, max: 50, noNaN: true }),
      fc.integer({ min: 100, max: 1e6 }),
      (slope, base) => {
        const found = growth(measured(10_000, (n) => base + slope * n, 0))!;
        assert.ok(Math.abs(found.nsPerIrqfd - slope) < 1e-6);
        assert.ok(found.low <= found.nsPerIrqfd && found.nsPerIrqfd <= found.high);
        assert.ok(Math.abs(found.baseNs - base) < 1e-3);
      },
    ),
  );
});

test("any points give a line or none, and every verdict names its figures", () => {
  const point = fc.record({ count: fc.integer({ min: 1, max: 1e6 }), ns: fc.integer({ min: 0, max: 1e9 }) });
  fc.assert(
    fc.property(
      fc.array(point),
      fc.constantFrom(registered, unregistered, unknown),
      (points, registration) => {
        const line = growth(points);
        const { verdict, says } = judge(line, registration);
        if (line === null) return;
        assert.ok(line.low <= line.high);
        assert.ok(says.includes(figure(line.nsPerIrqfd)));
        if (verdict === "list") assert.ok(line.low > LIST_STEP_NS);
        if (verdict === "no list") assert.ok(line.high < LIST_STEP_NS && registration.state === "yes");
      },
    ),
  );
});

test("figures are short and never minus nothing", () => {
  assert.deepEqual([0.004, -0.004, 0.25, 2.34, 123.4].map(figure), ["0", "0", "0.25", "2.3", "123"]);
});
