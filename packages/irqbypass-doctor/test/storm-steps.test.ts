import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { runSteps, type StepPlan, spread, stepCounts } from "#src/storm/steps.js";
import { FakeKernel } from "./storm-kernel.fake.js";

const flat = { assign: () => 1500, deassign: () => 50_000 };

function plan(upTo: number, more: Partial<StepPlan> = {}): StepPlan {
  return { counts: stepCounts(upTo), samples: 8, limitMs: 60_000, now: () => performance.now(), ...more };
}

test("counts are half-decades and end at what was asked", () => {
  assert.deepEqual(stepCounts(1000), [10, 32, 100, 316, 1000]);
  assert.deepEqual(stepCounts(10_000).length, 7);
  assert.deepEqual(stepCounts(33), [10, 32, 33]);
  assert.deepEqual(stepCounts(10), [10]);
  assert.deepEqual(stepCounts(1), [1]);
});

test("each count is measured on the way up and on the way down, and nothing stays open", async () => {
  const seen: string[] = [];
  const kernel = new FakeKernel({
    assign(host, own) {
      seen.push(`${host}/${own}`);
      return host;
    },
    deassign: (_host, own) => own,
  });
  const { steps, ended } = await runSteps(kernel, plan(100));
  assert.equal(ended, "complete");
  assert.deepEqual(
    steps.map((step) => [step.count, step.up.assign.median, step.down?.assign.median, step.crowded.irqfds]),
    [
      [10, 10, 10, 10],
      [32, 32, 32, 22],
      [100, 100, 100, 68],
    ],
  );
  // In the small VM the probe is alone, in the crowded one it comes on top of the step's own.
  assert.deepEqual(
    steps.map((step) => [step.up.deassign.median, step.crowded.deassign.median]),
    [
      [1, 11],
      [1, 23],
      [1, 69],
    ],
  );
  assert.ok(seen.includes("100/0"));
  assert.equal(kernel.mostStanding, 101);
  assert.equal(kernel.open, 0);
});

test("nothing stays open, whichever call fails", async () => {
  const whole = new FakeKernel(flat);
  await runSteps(whole, plan(40));
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 1, max: whole.calls }), async (failing) => {
      const kernel = new FakeKernel(flat);
      kernel.before = (call) => {
        if (call === failing) throw new Error("ENOMEM");
      };
      await assert.rejects(runSteps(kernel, plan(40)), /ENOMEM/);
      assert.equal(kernel.open, 0);
    }),
    { numRuns: 60 },
  );
});

test("an abort at any call ends it soon, with nothing open", async () => {
  const whole = new FakeKernel(flat);
  await runSteps(whole, plan(400));
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 1, max: whole.calls }), async (at) => {
      const kernel = new FakeKernel(flat);
      const controller = new AbortController();
      kernel.before = (call) => {
        if (call === at) controller.abort();
      };
      const { ended } = await runSteps(kernel, plan(400, { signal: controller.signal }));
      assert.equal(kernel.open, 0);
      // A batch of 64 irqfds is 128 calls; the last batch of all has no look at the signal after it.
      assert.ok(kernel.calls - at <= 128);
      assert.ok(ended === "interrupted" || kernel.calls === whole.calls);
    }),
    { numRuns: 60 },
  );
});

test("when time is up it stops climbing and still measures the way down", async () => {
  const kernel = new FakeKernel(flat);
  let clock = 0;
  kernel.before = () => {
    clock += 1;
  };
  const { steps, ended } = await runSteps(kernel, plan(100_000, { now: () => clock, limitMs: 4000 }));
  assert.equal(ended, "time limit");
  assert.ok(steps.length >= 3 && steps.length < stepCounts(100_000).length);
  assert.ok(steps.every((step) => step.down !== null));
  assert.ok(kernel.mostStanding < 100_000);
  assert.equal(kernel.open, 0);
});

test("one descriptor that cannot be closed keeps no other open", async () => {
  const kernel = new FakeKernel(flat);
  const close = kernel.close.bind(kernel);
  let failures = 0;
  kernel.before = (call) => {
    if (call === 1100) throw new Error("first failure");
  };
  kernel.close = (fd) => {
    close(fd);
    failures += 1;
    if (failures === 1) throw new Error("EIO");
  };
  await assert.rejects(runSteps(kernel, plan(100)));
  assert.equal(kernel.open, 0);
});

test("a spread is its percentiles", () => {
  const hundred = Array.from({ length: 101 }, (_, i) => 100 - i);
  assert.deepEqual(spread(hundred), { samples: 101, p10: 10, median: 50, p90: 90 });
  assert.deepEqual(spread([7]), { samples: 1, p10: 7, median: 7, p90: 7 });
});
