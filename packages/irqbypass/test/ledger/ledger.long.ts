// Ten million signals beside ends and changes, and none is missing; see ledger.test.ts.
import assert from "node:assert/strict";
import { test } from "node:test";
import { kvmTests } from "../kvm/available.js";
import { linux as needsLinux } from "../linux/available.js";
import { ALL_LINES, KVM_LINES } from "./board.js";
import { keepLedger, type LedgerOptions } from "./ledger.js";

const seed = Number(process.env.IRQBYPASS_SEED ?? Date.now() % 1e6);
const HOUR_MS = 3_600_000;

const runs: readonly [string, object, Omit<LedgerOptions, "seed">][] = [
  ["ten million signals of a software VM", needsLinux, { lines: ALL_LINES, signals: 10_000_000 }],
  ["500 deaths beside them", needsLinux, { lines: ALL_LINES, rounds: 3000, deathsEvery: 6 }],
  ["a million signals of a KVM guest", kvmTests, { lines: KVM_LINES, signals: 1_000_000, kvm: true }],
];
for (const [what, options, run] of runs) {
  test(`none of ${what} is missing (seed ${seed})`, { ...options, timeout: HOUR_MS }, async (t) => {
    const result = await keepLedger({ ...run, seed });
    t.diagnostic(JSON.stringify(result));
    assert.equal(result.fault, undefined);
  });
}
