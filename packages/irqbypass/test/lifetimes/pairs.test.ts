/** An end beside one use, for each of the pairs by which the kind was found: a loser hears ESTALE, EBADF or EBUSY, and nothing else. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { Worker } from "node:worker_threads";
import { Eventfd, Host, IrqBypassError, Vcpu, Vm } from "irqbypass";
import { TestThread } from "../support/worker.js";
import type { PairWork } from "./pairs-worker.js";

const LOST = ["ESTALE", "EBADF", "EBUSY"];
const ROUNDS = 2000;

/** A host with room for few VMs, and a thread at work beside this one. `end` ends it, and looks at what is left. */
async function beside(what: PairWork["what"], capacity = { vm: 4, vcpu: 16 }) {
  const host = Host.create({ capacity });
  const handles = new Float64Array(new SharedArrayBuffer(8));
  const board = new Int32Array(new SharedArrayBuffer(8));
  board[0] = 1;
  const work: PairWork = { host: host.handle, handles, board, what };
  const thread = new TestThread(new URL("./pairs-worker.js", import.meta.url), work);
  await thread.next();
  while (what === "make VMs" && handles[0] === 0) await sleep(1);
  const end = async () => {
    while (Atomics.load(board, 1) === 0) await sleep(1); // a round at least
    Atomics.store(board, 0, 0);
    await thread.next();
    await thread.done;
    assert.deepEqual(host.audit().findings, []);
  };
  return { host, handles, end };
}

/** Makes a call that may lose; returns whether it went through. */
function attempt(call: () => unknown): boolean {
  try {
    call();
    return true;
  } catch (error) {
    assert.ok(error instanceof IrqBypassError && LOST.includes(error.code), String(error));
    return false;
  }
}

describe("a VM that another thread makes and disposes", () => {
  it("stays whole beside repairs of threads that have nothing to do with it (d10, d10b)", async () => {
    const { host, end } = await beside("make VMs");
    for (let death = 0; death < 20; death++) {
      const idle = new Worker("setInterval(() => {}, 1e6)", { eval: true });
      await once(idle, "online");
      await host.terminate(idle);
    }
    await end();
  });

  const uses: Readonly<Record<string, (host: Host, handle: number, eventfd: Eventfd, n: number) => unknown>> =
    {
      "the audit": (host) => host.audit(),
      "the list of interrupts": (host) => host.interrupts(),
      "the switch": (host, _, __, n) => (host.bypass = (n & 1) === 0),
      "a line": (host, vm, _, n) => Vm.open(host, vm).setIrqLine(3, (n & 1) === 0),
      routes: (host, vm) => Vm.open(host, vm).setGsiRouting([{ gsi: 1, msi: { vcpu: 0, vector: 65 } }]),
      "an irqfd": (host, vm, eventfd) => Vm.open(host, vm).irqfd(eventfd, 1),
      "a deassign": (host, vm, eventfd) => Vm.open(host, vm).deassign(eventfd, 1),
      "its I/O APIC": (host, vm) =>
        Vm.open(host, vm).ioapic.redirect(3, { vcpu: 0, vector: 50, level: true }),
      "a kick": (host, vm) => Vm.open(host, vm).vcpu(0).kick(),
      "a dispose": (host, vm) => Vm.open(host, vm).dispose(),
    };
  for (const [what, use] of Object.entries(uses)) {
    it(`stays itself beside ${what} (d11)`, async () => {
      const { host, handles, end } = await beside("make VMs");
      const eventfd = Eventfd.create(host);
      for (let n = 0; n < ROUNDS / 10; n++) attempt(() => use(host, handles[0]!, eventfd, n));
      host.bypass = true;
      await end();
    });
  }
});

describe("a VM whose place another one takes", () => {
  it("is never acted upon by a handle of the one before (d12)", async () => {
    const { host, handles, end } = await beside("use VMs", { vm: 1, vcpu: 1 });
    for (let round = 0; round < ROUNDS; round++) {
      const known = new Vm(host);
      handles[0] = known.handle;
      for (let i = 0; i < round % 300; i++);
      known.dispose();
      const unknown = new Vm(host); // nobody else has ever had its handle
      assert.deepEqual([unknown.ioapic.lines, unknown.ioapic.read(0x16)], [0, 0x10000]);
      unknown.dispose();
    }
    await end();
  });

  it("keeps its vCPU from who opened it beside the dispose of the one before (d13)", async () => {
    const { host, handles, end } = await beside("open vCPUs", { vm: 1, vcpu: 1 });
    for (let round = 0; round < ROUNDS; round++) {
      const vm = new Vm(host);
      handles[0] = vm.vcpu(0).handle;
      for (let i = 0; i < (round * 7) % 400; i++);
      while (!attempt(() => vm.dispose()));
      const next = new Vm(host);
      next.setGsiRouting([{ gsi: 1, msi: { vcpu: 0, vector: 99 } }]);
      {
        using vcpu = Vcpu.open(host, next.vcpu(0).handle); // EBUSY if the other thread still had it
        next.setIrqLine(1, true);
        assert.equal(vcpu.acknowledge(), 99);
        next.setIrqLine(1, false);
      }
      next.dispose();
    }
    await end();
  });
});
