import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { bootGuest, FIRST_VECTOR, guestPages, guestTables } from "#src/kvm/guest.js";
import { Kvm } from "#src/kvm/kvm.js";
import { KvmMachine, signalMsi } from "#src/kvm/machine.js";
import { encodeMsi, msiTo } from "#src/kvm/structs.js";
import { EventfdFile } from "#src/linux/eventfd-file.js";
import { kvmTests } from "./available.js";
import { eventually } from "./eventually.js";

const ROUNDS = 1000;

describe("interrupts of a running guest", kvmTests, () => {
  const start = (vcpus: number) => {
    using kvm = Kvm.open();
    const machine = new KvmMachine(kvm, { pages: guestPages(vcpus) });
    bootGuest(machine, vcpus);
    for (const vcpu of machine.vcpus) vcpu.start();
    return machine;
  };

  /** Signals once, waits for the handler, and again: so each signal is one interrupt. */
  function lockStep(count: Uint32Array, vector: number, signal: () => void): void {
    for (let round = 1; round <= ROUNDS; round++) {
      signal();
      eventually(
        () => Atomics.load(count, vector) >= round,
        () => `signal ${round} arrived, the handler ran ${count[vector]} times`,
      );
      assert.equal(Atomics.load(count, vector), round);
    }
  }

  it("are as many as the signals of an irqfd, in lock-step", async () => {
    using machine = start(1);
    using eventfd = EventfdFile.create(machine.ffi);
    const { count } = guestTables(machine.memory, 0);
    machine.setGsiRouting([{ gsi: 24, msi: msiTo(0, 0x41) }]);
    machine.assignIrqfd({ eventfd: eventfd.fd, gsi: 24 });
    lockStep(count, 0x41, () => eventfd.write());
    await machine.stop();
    assert.equal(count[0x41], ROUNDS);
    assert.equal(
      count.reduce((sum, n) => sum + n),
      ROUNDS,
      "and no other vector came",
    );
  });

  it("are as many as the messages, in lock-step", async () => {
    using machine = start(1);
    const { count } = guestTables(machine.memory, 0);
    const record = encodeMsi(msiTo(0, 0x42));
    lockStep(count, 0x42, () => assert.equal(signalMsi(machine.ffi, machine.fd, record), true));
    await machine.stop();
    assert.equal(count[0x42], ROUNDS);
  });

  it("reach the vCPU and the vector that they name, for every vector of two vCPUs", async () => {
    using machine = start(2);
    const tables = [0, 1].map((vcpu) => guestTables(machine.memory, vcpu));
    for (let vector = FIRST_VECTOR; vector < 256; vector++) {
      for (const [vcpu, { count }] of tables.entries()) {
        machine.signalMsi(msiTo(vcpu, vector));
        if (vector % 3 === 0) {
          eventually(
            () => Atomics.load(count, vector) === 1,
            () => `vector ${vector} on vCPU ${vcpu}`,
          );
          machine.signalMsi(msiTo(vcpu, vector));
        }
      }
    }
    const expected = Array.from({ length: 256 }, (_, v): number =>
      v < FIRST_VECTOR ? 0 : v % 3 === 0 ? 2 : 1,
    );
    const total = expected.reduce((sum, n) => sum + n);
    for (const [vcpu, { count }] of tables.entries()) {
      const sum = () => count.reduce((all, n) => all + n);
      eventually(
        () => sum() === total,
        () => `vCPU ${vcpu} handled ${sum()} of ${total}`,
      );
      assert.deepEqual([...count], expected);
    }
    await machine.stop();
  });

  it("show the device's last burst in the handler, however many of a burst became one", async () => {
    using machine = start(1);
    using eventfd = EventfdFile.create(machine.ffi);
    const { count, seen, avail } = guestTables(machine.memory, 0);
    machine.setGsiRouting([{ gsi: 24, msi: msiTo(0, 0x50) }]);
    machine.assignIrqfd({ eventfd: eventfd.fd, gsi: 24 });
    let index = 0;
    for (let burst = 0; burst < 300; burst++) {
      const signals = 1 + (burst % 7);
      for (let signal = 0; signal < signals; signal++) {
        Atomics.store(avail, 0x50, ++index);
        eventfd.write();
      }
      eventually(
        () => Atomics.load(seen, 0x50) === index,
        () => `burst ${index} seen, ${seen[0x50]} was`,
      );
    }
    await machine.stop();
    assert.ok(count[0x50]! >= 300 && count[0x50]! <= index, `${count[0x50]} interrupts for ${index} signals`);
  });
});
