import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { Eventfd, Host, Producer, Vm } from "irqbypass";
import { machineBuilder, oneSided } from "#src/cli/run/build.js";
import { compareWays } from "#src/cli/run/compare.js";
import type { Machine } from "#src/cli/run/machine.js";
import { planRun } from "#src/cli/run/plan.js";
import { Tally } from "#src/cli/run/tally.js";
import { checkWorkload } from "#src/cli/workload.js";
import { kvmTests } from "../kvm/available.js";
import { until } from "../support/worker.js";
import { oneDevice } from "./command.js";

const NEVER = new AbortController().signal;
const OPTIONS = { kvm: true, signal: NEVER };

function build(workload: unknown, surroundings = {}): Promise<Machine> {
  return machineBuilder(surroundings)(checkWorkload(workload, "test"), OPTIONS);
}

/** Lets the devices signal until `enough`, settles, and returns the counts. */
async function runUntil(machine: Machine, enough: (tally: Tally) => boolean) {
  const tally = new Tally(
    machine.ledger,
    machine.wiring().map((one) => one.mailbox),
  );
  machine.ledger.start();
  const deadline = Date.now() + 60_000;
  for (tally.look(); !enough(tally); tally.look()) {
    assert.ok(Date.now() < deadline, "the devices did not get there within a minute");
    await Promise.race([sleep(10), machine.failure]);
  }
  machine.ledger.stop();
  await Promise.race([machine.settle(), machine.failure]);
  tally.look();
  return tally.counts;
}

test("the interrupts of a VM go around its vCPUs, each with a vector and a GSI of its own", () => {
  const plan = planRun(checkWorkload(oneDevice({ vcpus: 3 }, { vectors: 7 }), "test"));
  assert.deepEqual(
    plan.interrupts.map(({ number, gsi, vcpu, vector }) => [number, gsi, vcpu, vector]),
    [
      [0, 24, 0, 32],
      [1, 25, 1, 32],
      [2, 26, 2, 32],
      [3, 27, 0, 33],
      [4, 28, 1, 33],
      [5, 29, 2, 33],
      [6, 30, 0, 34],
    ],
  );
});

for (const kind of ["software", "kvm"] as const) {
  for (const bypass of ["require", "off"]) {
    const skip = kind === "kvm" ? kvmTests : {};
    test(
      `in bursts of 5 into a ${kind} guest, bypass ${bypass}: counts are final when settled`,
      skip,
      async () => {
        const machine = await build(oneDevice({ kind, vcpus: 2 }, { vectors: 3, burst: 5, bypass }));
        const counts = await runUntil(machine, ({ counts }) => counts.every((one) => one.signals >= 500));
        for (const one of counts) {
          assert.equal(one.lost, 0);
          assert.equal(one.signals % 5, 0, "a burst was cut short");
          assert.ok(one.delivered >= one.signals / 5 && one.delivered <= one.signals, JSON.stringify(one));
        }
        const wanted = {
          software: { require: "posted", off: "relayed" },
          kvm: { require: "injected", off: "irqfd" },
        };
        for (const one of machine.wiring()) {
          assert.equal(one.path, wanted[kind][bypass as "require" | "off"]);
          assert.equal(one.reason, bypass === "off" ? "policy-off" : null);
        }
        assert.deepEqual(machine.oneSided(), []);
        await sleep(20);
        const later = machine.wiring().map(({ mailbox }) => Atomics.load(mailbox.words, mailbox.delivered));
        assert.deepEqual(
          later,
          counts.map((one) => one.delivered),
        );
        await machine.close();
        await machine.close();
      },
    );
  }
}

test("thousands of interrupts over many vCPUs: each is seen, none is lost", async () => {
  const names = ["a", "b"];
  const machine = await build({
    seconds: 1,
    vms: names.map((name) => ({ name, kind: "software", vcpus: 7 })),
    devices: names.flatMap((vm) => [
      {
        ...{ name: `${vm}-nic`, kind: "nic", vm, vectors: 1000, burst: 1, rate: "max" },
        overrides: [{ interrupts: Array.from({ length: 100 }, (_, i) => i * 10), bypass: "off" }],
      },
      { name: `${vm}-disk`, kind: "block", vm, queues: 500, burst: 2, rate: 5 },
    ]),
  });
  const counts = await runUntil(machine, ({ counts }) => counts.every((one) => one.delivered > 0));
  assert.equal(counts.length, 3000);
  assert.equal(
    counts.reduce((sum, one) => sum + one.lost, 0),
    0,
  );
  const relayed = machine.wiring().filter((one) => one.path === "relayed");
  assert.equal(relayed.length, 200);
  await machine.close();
});

test("a device thread that fails is the machine's failure, and it can still be closed", async () => {
  const machine = await build(oneDevice({}, {}), {
    deviceWorker: new URL("./twin/failing-worker.js", import.meta.url),
  });
  machine.ledger.start();
  await assert.rejects(machine.failure, /this device is broken/);
  await machine.close();
});

test("a machine that was never started, or is stopped while it is built, closes", async () => {
  const machine = await build(oneDevice({ vcpus: 2 }, {}));
  await machine.close();
  const stop = new AbortController();
  const building = machineBuilder()(checkWorkload(oneDevice({}, {}), "test"), {
    ...OPTIONS,
    signal: stop.signal,
  });
  stop.abort();
  await assert.rejects(building, (error) => error === stop.signal.reason);
});

test("eventfds with one end are named by their end", async () => {
  using host = Host.create();
  using vm = new Vm(host);
  const [listened, signalled, unnamed] = [Eventfd.create(host), Eventfd.create(host), Eventfd.create(host)];
  vm.setGsiRouting([{ gsi: 24, msi: { vcpu: 0, vector: 0x41 } }]);
  const irqfd = vm.irqfd(listened, 24);
  await until("the relay runs", () => irqfd.reason === "no-producer");
  using producer = Producer.create(host);
  producer.register(signalled);
  using another = Producer.create(host);
  another.register(unnamed);
  const names = new Map([
    [listened.id, "web nic0.0"],
    [signalled.id, "web nic0.1"],
  ]);
  assert.deepEqual(oneSided(host.interrupts(), names), [
    { name: "web nic0.0", eventfd: listened.id, end: "consumer", reason: "no-producer" },
    { name: "web nic0.1", eventfd: signalled.id, end: "producer", reason: "no-consumer" },
    { name: `eventfd ${unnamed.id}`, eventfd: unnamed.id, end: "producer", reason: "no-consumer" },
  ]);
});

test("the comparison measures three costs, or nothing when it is stopped", async () => {
  const costs = await compareWays(NEVER);
  assert.deepEqual(Object.keys(costs), ["posted", "relayed", "postMessage"]);
  for (const cost of Object.values(costs)) assert.ok(cost !== null && cost > 0 && Number.isFinite(cost));
  const stop = new AbortController();
  const measuring = compareWays(stop.signal);
  await sleep(100);
  stop.abort();
  const nothing = { posted: null, relayed: null, postMessage: null };
  assert.deepEqual(await measuring, nothing);
  assert.deepEqual(await compareWays(stop.signal), nothing);
});
