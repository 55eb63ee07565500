import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { describe, it } from "node:test";
import { bootGuest, guestPages, guestTables } from "#src/kvm/guest.js";
import { Kvm } from "#src/kvm/kvm.js";
import { KvmMachine } from "#src/kvm/machine.js";
import { msiTo } from "#src/kvm/structs.js";
import { settledDescriptors } from "../linux/descriptors.js";
import { runChild } from "../support/child.js";
import { kvmTests } from "./available.js";
import { eventually } from "./eventually.js";

const vcpuThreads = () => readdirSync("/proc/self/task").length;

describe("stopping a guest", kvmTests, () => {
  const boot = (vcpus = 1) => {
    using kvm = Kvm.open();
    const machine = new KvmMachine(kvm, { pages: guestPages(vcpus) });
    bootGuest(machine, vcpus);
    return machine;
  };
  /** Waits until vCPU 0 has handled this many interrupts of vector 0x41, of which one is sent now. */
  const roundTrip = (machine: KvmMachine, times: number) => {
    machine.signalMsi(msiTo(0, 0x41));
    const { count } = guestTables(machine.memory, 0);
    eventually(
      () => Atomics.load(count, 0x41) === times,
      () => `${times} interrupts, ${count[0x41]} were handled`,
    );
  };

  it("ends halted vCPUs, which start again where they were", async () => {
    using machine = boot();
    for (let round = 1; round <= 5; round++) {
      const thread = machine.vcpus[0]!.start();
      roundTrip(machine, round);
      assert.notEqual(thread.tid, 0);
      await thread.stop();
      assert.deepEqual([thread.left, thread.tid, await thread.ended], [true, 0, undefined]);
      await thread.stop();
    }
  });

  it("leaves no thread and no descriptor, at whatever moment it comes", async () => {
    // The first worker of a process brings lasting descriptors and threads of Node's own.
    using warm = boot();
    await warm.vcpus[0]!.start().stop();
    const descriptors = await settledDescriptors();
    const threads = vcpuThreads();
    for (let round = 0; round < 12; round++) {
      const machine = boot(2);
      const ended = machine.vcpus.map((vcpu) => vcpu.start().ended);
      // From before the worker's first line to deep inside KVM_RUN.
      if (round > 0) await new Promise((resolve) => setTimeout(resolve, round * 8));
      machine[Symbol.dispose]();
      assert.ok(machine.vcpus.every((vcpu) => vcpu.thread?.left));
      assert.deepEqual(await Promise.all(ended), [undefined, undefined]);
    }
    assert.deepEqual(await settledDescriptors(), descriptors);
    eventually(
      () => vcpuThreads() <= threads,
      () => `${vcpuThreads()} threads, ${threads} before`,
    );
  });

  it("is not needed to be told that a request would wait for the guest", async () => {
    using machine = boot();
    const vcpu = machine.vcpus[0]!;
    vcpu.start();
    roundTrip(machine, 1);
    assert.throws(() => vcpu.lapic(), {
      code: "EBUSY",
      syscall: "KVM_GET_LAPIC",
      message: /stop its thread first/,
    });
    assert.throws(() => vcpu.start(), { code: "EBUSY", message: /running already/ });
    await machine.stop();
    assert.equal(vcpu.lapic().length, 1024);
  });

  it("reports the guest that ended by itself, with the exit and the exception", async () => {
    using machine = boot();
    // ud2, where the idle loop was.
    new Uint8Array(machine.memory.buffer).set([0x0f, 0x0b], 0x1000);
    const thread = machine.vcpus[0]!.start();
    const failure = await thread.ended;
    assert.equal(failure?.message, "EIO: vCPU 0 left the guest: KVM_EXIT_IO, port 0xf4, value 6");
    assert.deepEqual([failure.code, failure.syscall, failure.subject], ["EIO", "KVM_RUN", "vCPU 0"]);
    assert.equal(thread.left, true);
    await assert.rejects(machine.stop(), failure);
    assert.equal(machine.vcpus[0]!.lapic().length, 1024);
  });
});

describe("a process whose vCPUs are all halted is ended by", kvmTests, () => {
  const endings: [string, { code?: number; signal?: NodeJS.Signals }, RegExp][] = [
    ["a SIGINT that nobody handles", { signal: "SIGINT" }, /^$/],
    ["a SIGINT whose handler exits", { code: 130 }, /^$/],
    ["a SIGINT whose handler disposes", { code: 0 }, /^$/],
    ["a throw on the main thread", { code: 1 }, /Error: on purpose/],
    ["a rejection that nobody handles", { code: 1 }, /Error: on purpose/],
    ["process.exit", { code: 3 }, /^$/],
  ];
  for (const [ending, expected, says] of endings) {
    it(ending, async (test) => {
      let halted = 0;
      const { code, signal, errors } = await runChild(
        new URL("./halted.js", import.meta.url),
        [ending],
        (_text, child) => {
          halted = performance.now();
          if (ending.startsWith("a SIGINT")) child.kill("SIGINT");
        },
      );
      assert.deepEqual(
        { code, signal },
        { code: expected.code ?? null, signal: expected.signal ?? null },
        errors,
      );
      assert.match(errors, says);
      test.diagnostic(`ended ${(performance.now() - halted).toFixed(0)} ms later`);
    });
  }
});
