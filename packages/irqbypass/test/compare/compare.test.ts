import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Kvm } from "#src/kvm/kvm.js";
import { kvmTests } from "../kvm/available.js";
import { compare, SUBJECTS } from "./compare.js";
import { PLANTS } from "./plants.js";

/** In one run of `npm test`; `npm run kvm:compare` has more. */
const STEPS = 3000;
const SEED = 1;

describe("a software VM and a real one", () => {
  for (const subject of SUBJECTS) {
    it(`agree on random ${subject}`, kvmTests, (t) => {
      using kvm = Kvm.open();
      t.diagnostic(`${compare(kvm, subject, STEPS, SEED)} steps agreed`);
    });
  }
});

describe("a comparison with a real VM finds it where", () => {
  for (const [name, { subject, plant }] of Object.entries(PLANTS)) {
    it(name, kvmTests, () => {
      using kvm = Kvm.open();
      assert.throws(() => compare(kvm, subject, STEPS, SEED, plant), /kernel:/);
    });
  }
});
