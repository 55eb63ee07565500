/** As `matrix.test.ts`, with two things wrong at once. */
import { describe, it } from "node:test";
import { kvmTests } from "../kvm/available.js";
import { linux } from "../linux/available.js";
import { refusesBoth } from "./both.js";
import { shown } from "./matrix.js";
import type { With } from "./stage.js";

const seed = Number(process.env.IRQBYPASS_SEED ?? Date.now() % 1e6);
const RUNS = 12;

describe(`two things wrong with a call (seed ${seed})`, { timeout: 600_000 }, () => {
  const entries: readonly (readonly [With, object])[] = [
    ["core", {}],
    ["linux", linux],
    ["kvm", kvmTests],
  ];
  for (const [what, options] of entries) {
    it(`are refused whole, with the code of one of them: ${what}`, options, async (test) => {
      test.diagnostic(shown(await refusesBoth(what, seed, RUNS)));
    });
  }
});
