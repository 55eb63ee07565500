import assert from "node:assert/strict";
import { test } from "node:test";
import { WorkloadError } from "#src/cli/file-schema.js";
import { HISTOGRAM_WORDS, record } from "#src/cli/histogram.js";
import { Board, STEP } from "#src/cli/storm/board.js";
import { type JsonStorm, phaseOf, ratio, roundsOf, typical } from "#src/cli/storm/result.js";
import { runStorm } from "#src/cli/storm/storm.js";
import { checkStorm } from "#src/cli/storm/storm-file.js";
import type { StepReport } from "#src/cli/storm/storm-thread.js";
import { stormSummary } from "#src/cli/storm/summary.js";
import { runCommand, start } from "./command.js";
import { matchSnapshot } from "./snapshot.js";

const SMALL = { standing: 7, irqfds: 3, vms: 4, rounds: 5, threads: 3 };

test("--json prints every round, before and beside the standing VMs, and nothing else", async () => {
  const { code, out, error } = await runCommand(["run", "-", "--json"], { workload: { storm: SMALL } });
  assert.deepEqual({ code, error }, { code: 0, error: "" });
  const { storm, phases, create_ratio, destroy_ratio } = JSON.parse(out) as JsonStorm;
  assert.deepEqual(storm, SMALL);
  const round = (irqfds: number) => Array<unknown>(5).fill(["round", irqfds, 4]);
  assert.deepEqual(
    phases.map((one) => [one.phase, one.beside_irqfds, one.vms]),
    [...round(0), ["standing", 0, 7], ...round(21), ["clearing", 21, 7]],
  );
  for (const one of phases) {
    assert.equal(one.create_ns === null, one.phase === "clearing");
    assert.equal(one.destroy_ns === null, one.phase === "standing");
    // A VM takes the lock for itself, its vCPU, its eventfds and its irqfds at the least.
    assert.ok(one.lock_taken >= one.vms * (2 + 2 * SMALL.irqfds), JSON.stringify(one));
    assert.ok(one.lock_contended <= one.lock_taken);
  }
  assert.ok(create_ratio !== null && create_ratio > 0 && destroy_ratio !== null && destroy_ratio > 0);
});

test("the summary says what was created beside what, and that everything was given back", async () => {
  const { code, out } = await runCommand(["run", "-"], { workload: { storm: SMALL } });
  assert.equal(code, 0);
  assert.match(out, /^irqbypass run {2}-: 7 standing VMs, 5 rounds of 4 more, 3 irqfds each, 3 threads\n/);
  assert.match(out, /\n {2}round 5 +21 /);
  assert.match(out, /\nBeside 21 irqfds a VM takes \d/);
  assert.match(out, /\nEverything was given back\n$/);
});

test("no standing VMs, one VM, one round: nothing to compare", async () => {
  const workload = { storm: { standing: 0, irqfds: 1, vms: 1, rounds: 1, threads: 1 } };
  const { code, out } = await runCommand(["run", "-"], { workload });
  assert.equal(code, 0);
  assert.match(out, /Everything was given back \(no rounds beside standing VMs to compare\)\n$/);
});

test("Ctrl-C ends a storm after its round, with its summary and exit code 0", async () => {
  const workload = { storm: { ...SMALL, rounds: 10_000 } };
  const { process, ended, says } = start(["run", "-"], { workload });
  await says("10,000 rounds");
  process.kill("SIGINT");
  const { code, signal, out } = await ended;
  assert.deepEqual({ code, signal }, { code: 0, signal: null });
  assert.match(out, /Everything was given back/);
});

test("a storm has no --seconds", async () => {
  const { code, error } = await runCommand(["run", "-", "--seconds", "3"], { workload: { storm: SMALL } });
  assert.equal(code, 2);
  assert.match(error, /--seconds: a storm lasts for its rounds; allowed: to leave it out/);
});

test("a storm that is stopped before its first round still stands and clears", async () => {
  const stop = new AbortController();
  stop.abort();
  const result = await runStorm(SMALL, stop.signal, () => {});
  assert.deepEqual([result.empty.each.length, result.full.each.length], [0, 0]);
  assert.deepEqual([result.stood.create.vms, result.cleared.destroy.vms], [7, 7]);
  assert.equal(ratio(result, "create"), undefined);
});

test("a thread that a late wake-up reaches does not begin a step that nobody called", () => {
  const board = new Board();
  const thread = new Board(board.buffer);
  board.call(STEP.stand);
  assert.equal(thread.next(), STEP.stand);
  const words = new Int32Array(board.buffer);
  // What a waiter sees whose wake-up comes late: woken, and the turn is the same.
  const wait = Atomics.wait;
  let woken = 0;
  try {
    Atomics.wait = (() => {
      woken += 1;
      if (woken === 2) board.call(STEP.clear);
      return "ok";
    }) as typeof Atomics.wait;
    assert.equal(thread.next(), STEP.clear);
  } finally {
    Atomics.wait = wait;
  }
  assert.deepEqual([woken, Atomics.load(words, 0)], [2, 2]);
});

function report(create: number[], destroy: number[], waitedNs: number[]): StepReport {
  const waits = new Int32Array(HISTOGRAM_WORDS);
  for (const ns of waitedNs) record(waits, ns);
  const lock = {
    ...{ taken: 100, contended: waitedNs.length, parks: 1, waits },
    waitedNs: waitedNs.reduce((sum, ns) => sum + ns, 0),
    longestNs: Math.max(0, ...waitedNs),
  };
  return { create, destroy, lock };
}

test("the threads' reports of a step are one phase", () => {
  const { create, destroy, lock } = phaseOf([
    report([0.1, 0.3], [0.2], [1000]),
    report([0.2], [0.4], [20, 30]),
  ]);
  assert.deepEqual([create.vms, Math.round(create.mean), Math.round(create.longest)], [3, 200_000, 300_000]);
  assert.deepEqual([destroy.vms, Math.round(destroy.mean)], [2, 300_000]);
  const { taken, contended, parks, mean, longest } = lock;
  assert.deepEqual([taken, contended, parks, mean, longest], [200, 3, 2, 1050 / 200, 1000]);
  // The 198th of 200 waits: 197 were none.
  assert.equal(lock.p99, 20);
});

test("the typical time of a VM is the median of the rounds", () => {
  const rounds = (...ms: number[]) => roundsOf(ms.map((one) => [report([one], [one], [])]));
  assert.equal(typical(rounds(), "create"), undefined);
  assert.equal(typical(rounds(3, 1, 2), "create"), 2e6);
  assert.equal(typical(rounds(1, 2, 3, 100), "destroy"), 2.5e6);
});

for (const columns of [50, 80, 120]) {
  test(`the summary of a storm in ${columns} columns`, () => {
    const rounds = (ms: number) => roundsOf([1.5, 1, 1].map((x) => [report([ms * x], [ms / 2], [400])]));
    const result = {
      storm: { standing: 800, irqfds: 15, vms: 20, rounds: 3, threads: 2 },
      empty: rounds(0.02),
      stood: phaseOf([report([0.1, 1.7], [], [])]),
      full: rounds(0.021),
      cleared: phaseOf([report([], [0.03], [])]),
    };
    matchSnapshot(`storm-${columns}`, stormSummary(result, columns), columns);
  });
}

const REFUSED: readonly [what: string, input: object, problem: string | RegExp][] = [
  [
    "no object",
    { storm: 7 },
    /^storm: found 7; allowed: an object with "standing", "irqfds", "vms" and "rounds"/,
  ],
  [
    "a storm beside devices",
    { storm: SMALL, devices: [] },
    "devices: there is no such field; allowed: storm",
  ],
  [
    "an unknown field",
    { storm: { ...SMALL, vcpus: 2 } },
    "storm.vcpus: there is no such field; allowed: standing, irqfds, vms, rounds, threads",
  ],
  [
    "no rounds",
    { storm: { ...SMALL, rounds: 0 } },
    "storm.rounds: found 0; allowed: a whole number from 1 to 10,000",
  ],
  [
    "too many irqfds",
    { storm: { ...SMALL, standing: 10_000, irqfds: 224 } },
    "storm: found 10,004 VMs with 224 irqfds each; allowed: 1,000,000 irqfds together",
  ],
  [
    "more threads than VMs",
    { storm: { ...SMALL, threads: 5 } },
    "storm.threads: found 5; allowed: at most 4, one for each VM of a round",
  ],
];
for (const [what, input, problem] of REFUSED) {
  test(`a storm's file is refused with its place: ${what}`, () => {
    assert.throws(
      () => checkStorm(input, "s.json"),
      (error) => {
        assert.ok(error instanceof WorkloadError);
        const [found = "", ...more] = error.problems;
        assert.deepEqual(more, []);
        if (typeof problem === "string") assert.equal(found, problem);
        else assert.match(found, problem);
        return true;
      },
    );
  });
}

test("threads default to two", () => {
  const { threads, ...others } = SMALL;
  assert.equal(threads, 3);
  assert.equal(checkStorm({ storm: others }, "s").threads, 2);
});
