/**
 * Records what this machine's kernel does: `node scripts/ready.mjs && node build/test/kernel/record.js`. Needs /dev/kvm.
 */
import fc from "fast-check";
import { Kvm } from "#src/kvm/kvm.js";
import { Barrier } from "./barrier.js";
import { CASES } from "./cases.js";
import { KernelWorld } from "./kernel.js";
import { kernelVersion, writeRecorded } from "./recorded.js";
import { Run } from "./run.js";
import { compare, sequence } from "./sequences.js";
import { SoftwareWorld } from "./software.js";

const SEQUENCES = 12;
const SEED = 20;

using kvm = Kvm.open();
using barrier = new Barrier(kvm);
const cases: Record<string, string[]> = {};
for (const { name, run } of CASES) {
  using world = new KernelWorld(kvm, barrier);
  const t = new Run(world);
  run(t);
  cases[name] = t.trace;
}
const sequences = fc.sample(sequence, { numRuns: SEQUENCES, seed: SEED }).map((operations) => {
  using kernel = new KernelWorld(kvm, barrier);
  using software = new SoftwareWorld();
  return { operations, results: compare(kernel, software, operations, { sequences: 0, steps: 0 }) };
});
writeRecorded({ kernel: kernelVersion(), cases, sequences });
const steps = sequences.reduce((sum, { operations }) => sum + operations.length, 0);
console.log(`recorded ${CASES.length} cases and ${steps} steps of kernel ${kernelVersion()}`);
