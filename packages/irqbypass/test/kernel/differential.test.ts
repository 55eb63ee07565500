import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { Kvm } from "#src/kvm/kvm.js";
import { kvmTests } from "../kvm/available.js";
import { linux } from "../linux/available.js";
import { Barrier } from "./barrier.js";
import { CASES, type Case } from "./cases.js";
import { KernelWorld } from "./kernel.js";
import type { World } from "./operation.js";
import { kernelVersion, readRecorded } from "./recorded.js";
import { Run } from "./run.js";
import { compareRandom, replay, type Tally } from "./sequences.js";
import { SoftwareWorld } from "./software.js";

/** In one run of `npm test`; the long run has more. */
const STEPS = 4000;
const SEED = 1;

const recorded = readRecorded();
/** How many named cases or sequences, and how many steps, ran on which side. */
const ran: Record<string, { runs: number; steps: number }> = {};

function count(side: string, runs: number, steps: number): void {
  const sum = ran[side] ?? { runs: 0, steps: 0 };
  ran[side] = { runs: sum.runs + runs, steps: sum.steps + steps };
}

function traceOf(world: World, side: string, { run }: Case): readonly string[] {
  using t = world;
  const one = new Run(t);
  run(one);
  count(side, 1, one.trace.length);
  return one.trace;
}

describe("named cases", () => {
  const skip = kvmTests.skip;
  let kvm: Kvm | undefined;
  let barrier: Barrier | undefined;
  before(() => {
    if (skip !== false) return;
    kvm = Kvm.open();
    barrier = new Barrier(kvm);
  });
  after(() => {
    barrier?.[Symbol.dispose]();
    kvm?.[Symbol.dispose]();
  });

  it("were all recorded from a kernel", () => {
    assert.deepEqual(
      Object.keys(recorded.cases),
      CASES.map(({ name }) => name),
      "record again: node build/test/kernel/record.js",
    );
  });

  for (const one of CASES) {
    it(`software: ${one.name}`, () => {
      assert.deepEqual(traceOf(new SoftwareWorld(), "named cases: software", one), recorded.cases[one.name]);
    });
    const reason = one.notOnLinuxEventfds ?? linux.skip;
    it(`software with Linux eventfds: ${one.name}`, { skip: reason }, () => {
      const trace = traceOf(new SoftwareWorld("linux"), "named cases: software with Linux eventfds", one);
      assert.deepEqual(trace, recorded.cases[one.name]);
    });
    it(`kernel: ${one.name}`, { skip }, () => {
      const trace = traceOf(new KernelWorld(kvm!, barrier!), "named cases: kernel", one);
      // Another kernel may differ from the one that was recorded; the case has asserted what must hold on any.
      if (kernelVersion() === recorded.kernel) assert.deepEqual(trace, recorded.cases[one.name]);
    });
  }
});

describe("random sequences", () => {
  it("do on the software VM what a kernel did", () => {
    const tally: Tally = { sequences: 0, steps: 0 };
    for (const { operations, results } of recorded.sequences) {
      using software = new SoftwareWorld();
      replay(software, operations, results, tally);
    }
    count("recorded sequences: software", tally.sequences, tally.steps);
    assert.ok(tally.steps > 500, `${tally.steps} steps`);
  });

  it("agree with the kernel after every step", kvmTests, (t) => {
    using kvm = Kvm.open();
    using barrier = new Barrier(kvm);
    const { sequences, steps } = compareRandom(kvm, barrier, "shared", STEPS, SEED);
    count("random sequences: kernel and software", sequences, steps);
    t.diagnostic(`${steps} steps agreed`);
  });

  it("agree with the kernel where the software VM listens to Linux eventfds", kvmTests, (t) => {
    using kvm = Kvm.open();
    using barrier = new Barrier(kvm);
    const { sequences, steps } = compareRandom(kvm, barrier, "linux", STEPS / 4, SEED);
    count("random sequences: kernel and software with Linux eventfds", sequences, steps);
    t.diagnostic(`${steps} steps agreed`);
  });
});

after(() => {
  const width = Math.max(...Object.keys(ran).map((side) => side.length));
  for (const [side, { runs, steps }] of Object.entries(ran))
    console.log(
      `${side.padEnd(width)}  ${String(runs).padStart(4)} runs  ${String(steps).padStart(6)} steps`,
    );
  if (kvmTests.skip !== false) console.log(`no step ran on a kernel: ${kvmTests.skip}`);
});
