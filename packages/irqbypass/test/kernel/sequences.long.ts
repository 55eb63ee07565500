import { describe, it } from "node:test";
import { Kvm } from "#src/kvm/kvm.js";
import { kvmTests } from "../kvm/available.js";
import { Barrier } from "./barrier.js";
import { compareRandom } from "./sequences.js";

/** Together 100,000 steps on shared eventfds, and some on the kernel's. */
const PARTS = 5;
const STEPS = 20_000;
const LINUX_STEPS = 10_000;

describe("many random sequences", kvmTests, () => {
  const agree = (eventfds: "shared" | "linux", steps: number, seed: number): string => {
    using kvm = Kvm.open();
    using barrier = new Barrier(kvm);
    const ran = compareRandom(kvm, barrier, eventfds, steps, seed);
    return `${ran.steps} steps in ${ran.sequences} sequences agreed; the seed was ${seed}`;
  };

  for (let part = 1; part <= PARTS; part++) {
    it(`agree with the kernel after every step, part ${part} of ${PARTS}`, (t) => {
      t.diagnostic(agree("shared", STEPS, Date.now() & 0x3fff_ffff));
    });
  }

  it("agree with the kernel where the software VM listens to Linux eventfds", (t) => {
    t.diagnostic(agree("linux", LINUX_STEPS, Date.now() & 0x3fff_ffff));
  });
});
