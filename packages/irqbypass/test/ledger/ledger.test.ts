// Every signal is accounted for, whatever ends or changes beside it: a short run of each sort, and a loss planted in each place
// where a signal is taken out of where it is, which must be found. The long run is in ledger.long.ts.
import assert from "node:assert/strict";
import { test } from "node:test";
import { scenarios } from "#scenarios/support/scenarios.js";
import { kvmTests } from "../kvm/available.js";
import { linux as needsLinux } from "../linux/available.js";
import { ALL_LINES, KVM_LINES, SHARED_LINES } from "./board.js";
import { keepLedger, type LedgerResult } from "./ledger.js";
import { PLANTS, type PlantName } from "./plants.js";

const seed = Number(process.env.IRQBYPASS_SEED ?? Date.now() % 1e6);

/** Every signal was found, and there was something of everything. */
function assertWhole({ fault, signals, interrupts, counted }: LedgerResult): void {
  assert.equal(fault, undefined);
  assert.ok(signals > 0 && interrupts > 0 && counted > 0);
}

test(`no signal is missing beside ends and changes (seed ${seed})`, async (t) => {
  const result = await keepLedger({ lines: SHARED_LINES, seed, rounds: 300 });
  t.diagnostic(JSON.stringify(result));
  assertWhole(result);
  assert.ok(result.dropped > 0);
});

test(`nor of Linux eventfds (seed ${seed})`, needsLinux, async (t) => {
  const result = await keepLedger({ lines: ALL_LINES, seed, rounds: 300 });
  t.diagnostic(JSON.stringify(result));
  assertWhole(result);
});

test(`nor where threads die (seed ${seed})`, needsLinux, async (t) => {
  const result = await keepLedger({ lines: ALL_LINES, seed, rounds: 60, deathsEvery: 6 });
  t.diagnostic(JSON.stringify(result));
  assertWhole(result);
  assert.ok(result.deaths > 0);
});

test(`nor with a KVM guest (seed ${seed})`, kvmTests, async (t) => {
  const result = await keepLedger({ lines: KVM_LINES, seed, rounds: 200, kvm: true });
  t.diagnostic(JSON.stringify(result));
  assertWhole(result);
});

test("what is planted here has a twin of a scenario each, in which the explorer finds it", async () => {
  const twins = new Set((await scenarios()).filter(({ twin }) => twin).map(({ name }) => name));
  const planted = Object.values(PLANTS).map(({ twin }) => twin);
  assert.deepEqual(
    planted.filter((twin) => !twins.has(twin)),
    [],
  );
  assert.equal(new Set(planted).size, planted.length, "each place its own");
});

const MOST_ROUNDS = 5000;
for (const [name, { sentence, ...needs }] of Object.entries(PLANTS)) {
  const { lines = SHARED_LINES, deathsEvery } = needs as { lines?: typeof ALL_LINES; deathsEvery?: number };
  const options = lines === SHARED_LINES ? {} : needsLinux;
  test(`the ledger finds that ${sentence} (seed ${seed})`, options, async (t) => {
    const plant = name as PlantName;
    const result = await keepLedger({
      lines,
      seed,
      rounds: MOST_ROUNDS,
      plant,
      ...(deathsEvery === undefined ? {} : { deathsEvery }),
    });
    assert.notEqual(result.fault, undefined, `not within ${MOST_ROUNDS} rounds`);
    t.diagnostic(`after ${result.signals} signals: ${result.fault}`);
  });
}
