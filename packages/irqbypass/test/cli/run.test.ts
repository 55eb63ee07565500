import assert from "node:assert/strict";
import { test } from "node:test";
import type { JsonResult } from "#src/cli/result.js";
import { kvmTests } from "../kvm/available.js";
import { oneDevice, runCommand, start } from "./command.js";

const BOTH_PATHS = {
  seconds: 0.5,
  vms: [{ name: "web", kind: "software", vcpus: 2 }],
  devices: [
    {
      ...{ name: "nic0", kind: "nic", vm: "web", vectors: 3, burst: 1, rate: "max" },
      overrides: [{ interrupts: [2], bypass: "off" }],
    },
    { name: "disk0", kind: "block", vm: "web", queues: 2, burst: 4, rate: 1000 },
  ],
};

test("--json prints one object with exactly the promised fields, and nothing else", async () => {
  const { code, out, error } = await runCommand(["run", "-", "--json"], { workload: BOTH_PATHS });
  assert.equal(error, "");
  assert.equal(code, 0);
  const result = JSON.parse(out) as JsonResult;
  assert.deepEqual(Object.keys(result), ["interrupts", "totals", "compare"]);
  assert.deepEqual(Object.keys(result.totals), [
    ...["signals", "delivered", "coalesced", "lost", "reroutes", "seconds"],
  ]);
  assert.deepEqual(Object.keys(result.compare), ["posted_ns", "relayed_ns", "postmessage_ns"]);
  const fields = "vm gsi vector eventfd path reason signals delivered coalesced lost p50_ns p99_ns".split(
    " ",
  );
  for (const one of result.interrupts) assert.deepEqual(Object.keys(one), fields);
  assert.deepEqual(
    result.interrupts.map(({ gsi, vector, path, reason }) => [gsi, vector, path, reason]),
    [
      [24, 32, "posted", null],
      [25, 32, "posted", null],
      [26, 33, "relayed", "policy-off"],
      [27, 33, "posted", null],
      [28, 34, "posted", null],
    ],
  );
  assert.equal(new Set(result.interrupts.map((one) => one.eventfd)).size, 5);
  for (const one of result.interrupts) {
    assert.ok(one.signals > 0);
    assert.equal(one.lost, 0);
    assert.equal(one.delivered + one.coalesced, one.signals);
    const lockStep = one.gsi < 27;
    // In lock-step nothing may coalesce; in bursts of four no burst may be without a handler run.
    assert.ok(lockStep ? one.coalesced === 0 : one.delivered >= one.signals / 4, JSON.stringify(one));
    assert.ok(one.p50_ns === null || (one.p50_ns > 0 && one.p99_ns !== null && one.p99_ns >= one.p50_ns));
  }
  assert.ok(result.totals.seconds >= 0.5);
  for (const cost of Object.values(result.compare)) assert.ok(cost !== null && cost > 0);
});

test("a KVM guest's interrupts are injected, or go through its irqfd", kvmTests, async () => {
  const workload = {
    seconds: 0.5,
    vms: [{ name: "guest", kind: "kvm", vcpus: 2 }],
    devices: [
      {
        ...{ name: "nic1", kind: "nic", vm: "guest", vectors: 4, burst: 1, rate: 500 },
        overrides: [{ interrupts: [3], bypass: "off" }],
      },
    ],
  };
  const { code, out, error } = await runCommand(["run", "-", "--json"], { workload });
  assert.equal(error, "");
  assert.equal(code, 0);
  const { interrupts } = JSON.parse(out) as JsonResult;
  assert.deepEqual(
    interrupts.map(({ path, reason }) => [path, reason]),
    [
      ["injected", null],
      ["injected", null],
      ["injected", null],
      ["irqfd", "policy-off"],
    ],
  );
  for (const one of interrupts) {
    assert.ok(one.signals > 0);
    assert.deepEqual([one.delivered, one.coalesced, one.lost], [one.signals, 0, 0]);
    assert.ok(one.p50_ns !== null && one.p50_ns > 0);
  }
});

test("a device that drops one post in 10,000 is found out: each loss is named, and the exit code is 1", async () => {
  const { code, out, error } = await runCommand(["run", "-", "--json"], {
    workload: oneDevice({}, {}, 3),
    twin: { LOSE_EVERY: "10000" },
  });
  assert.equal(code, 1);
  const { totals } = JSON.parse(out) as JsonResult;
  assert.ok(totals.lost > 0);
  assert.equal(totals.delivered, totals.signals - totals.lost);
  assert.match(error, /^lost: web nic0\.[01] \(GSI 2[45], posted\)$/m);
});

test("losses into a KVM guest are found out too", kvmTests, async () => {
  const { code, out } = await runCommand(["run", "-"], {
    workload: oneDevice({ kind: "kvm" }, { rate: 100 }),
    twin: { LOSE_EVERY: "50" },
  });
  assert.equal(code, 1);
  assert.match(out, /^lost: web nic0\.[01] \(GSI 2[45], injected\)$/m);
  assert.match(out, /\nLost: the guest did not see them within two seconds\n {2}web nic0\./);
});

/** The vCPUs are halted nearly all of the time. */
const HALTED = oneDevice({}, { rate: 1 }, 600);

test("Ctrl-C ends the run with its summary and exit code 0", async () => {
  const { process, ended, says } = start(["run", "-"], { workload: HALTED });
  await says("1.0 of 600 s");
  process.kill("SIGINT");
  const { code, signal, out, error } = await ended;
  assert.deepEqual({ code, signal, error }, { code: 0, signal: null, error: "" });
  assert.match(out, /\nNothing lost of \d+ signals in [12]/);
  assert.doesNotMatch(out, /lock-step/, "it compared although it was to stop");
});

test("Ctrl-C ends a run with a halted KVM guest too", kvmTests, async () => {
  const workload = oneDevice({ kind: "kvm", vcpus: 2 }, { rate: 1 }, 600);
  const { process, ended, says } = start(["run", "-"], { workload });
  await says("1.0 of 600 s");
  process.kill("SIGTERM");
  const { code, out, error } = await ended;
  assert.deepEqual({ code, error }, { code: 0, error: "" });
  assert.match(out, /\nNothing lost of \d+ signals/);
});

test("the second Ctrl-C ends the process by the signal", async () => {
  // Every interrupt is lost, so the first Ctrl-C waits for its two seconds.
  const { process, ended, says } = start(["run", "-"], { workload: HALTED, twin: { LOSE_EVERY: "1" } });
  await says("1.0 of 600 s");
  process.kill("SIGINT");
  setTimeout(() => process.kill("SIGINT"), 200);
  const { code, signal, out } = await ended;
  assert.deepEqual({ code, signal }, { code: null, signal: "SIGINT" });
  assert.doesNotMatch(out, / signals in /);
});

for (const kind of ["software", "kvm"] as const) {
  const skip = kind === "kvm" ? kvmTests : {};
  test(`a throw on the main thread ends a process with a halted ${kind} guest`, skip, async () => {
    const { code, error } = await runCommand(["run", "-"], {
      workload: oneDevice({ kind }, { rate: 1 }, 600),
      twin: { THROW_AFTER_MS: "1500" },
    });
    assert.notEqual(code, 0);
    assert.match(error, /thrown on the main thread/);
  });
}

for (const args of [
  ["run", "-"],
  ["run", "-", "--json"],
]) {
  test(`a reader that has gone away ends ${args.join(" ")} without a complaint`, async () => {
    const { process, ended } = start(args, { workload: oneDevice({}, { rate: 1 }, 1) });
    process.stdout?.destroy();
    const { code, signal, error } = await ended;
    assert.deepEqual({ code, signal, error }, { code: 0, signal: null, error: "" });
  });
}

const WITH_GUEST = {
  seconds: 0.2,
  vms: [
    { name: "web", kind: "software", vcpus: 1 },
    { name: "guest", kind: "kvm", vcpus: 1 },
  ],
  devices: [
    { name: "nic0", kind: "nic", vm: "web", vectors: 1, burst: 1, rate: 100 },
    { name: "nic1", kind: "nic", vm: "guest", vectors: 1, burst: 1, rate: 100 },
  ],
};

test("--no-kvm leaves KVM guests and their devices out, and says so", async () => {
  const { code, out } = await runCommand(["run", "-", "--no-kvm"], { workload: WITH_GUEST });
  assert.equal(code, 0);
  assert.match(
    out,
    /^irqbypass run {2}-: 1 VM, 1 device, 1 interrupt\nguest is left out: --no-kvm was given\n/,
  );
  assert.doesNotMatch(out, /nic1/);
});

for (const [path, why] of [
  ["/dev/no-kvm", /ENOENT: \/dev\/no-kvm does not exist: .+/],
  ["/dev/null", /ENOTTY: .*KVM_GET_API_VERSION.*\/dev\/null.*/],
] as const) {
  test(`a KVM that cannot be used is named with its reason: ${path}`, kvmTests, async () => {
    const twin = { KVM_PATH: path };
    const some = await runCommand(["run", "-"], { workload: WITH_GUEST, twin });
    assert.equal(some.code, 0);
    assert.match(some.out, new RegExp(`\\nguest is left out: ${why.source}\\n`));
    const all = await runCommand(["run", "-"], { workload: oneDevice({ kind: "kvm" }, {}), twin });
    assert.equal(all.code, 1);
    assert.equal(all.out, "");
    assert.match(all.error, new RegExp(`^irqbypass: EOPNOTSUPP: nothing is left to run: ${why.source}\\n$`));
  });
}
