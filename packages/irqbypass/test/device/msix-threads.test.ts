/** MSI-X from several threads: two vCPUs' threads that store beside a device's that signals, and one that leaves or dies. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Eventfd, Host, Msix, VfioPciDevice, Vm } from "irqbypass";
import { kvmTests } from "../kvm/available.js";
import { ENABLE, entryOf, firstOf, VECTORS } from "./msix-board.js";
import { leave, machine, msixDeaths, msixStress, openAll, play } from "./msix-machine.js";

describe("MSI-X of two vCPUs' threads beside the device's", () => {
  it("loses no signal and makes none up, whatever they store to the same entry and to others", async () => {
    await msixStress(60, 2_000);
  });

  it("does so on a KVM guest, too", kvmTests, async () => {
    const on = machine(true);
    openAll(on);
    const workers = await Promise.all([0, 1, 2].map(on.begin));
    for (let round = 1; round <= 20; round++) play(on.board, round, 5, [0, 1, 2]);
    openAll(on);
    on.nic.adopt();
    await leave(on.board, workers);
    for (let number = 0; number < VECTORS; number++) {
      on.msix.table.write(number * 16, entryOf(number, 15 - number));
      on.nic.vector("msix", number).signal();
    }
    const found = on.arrived();
    for (let number = 0; number < VECTORS; number++) {
      const last = firstOf(number) + ((15 - number) & 7);
      assert.ok(found.includes(last), `${last} is not among ${found}`);
      assert.deepEqual([...on.msix.table.read(number * 16, 16)], [...entryOf(number, 15 - number)]);
    }
    assert.deepEqual([...on.msix.pba.read(0, 1)], [0]);
    on.end();
  });
});

describe("MSI-X whose vCPU's thread is ended in the middle of a store", () => {
  it("goes on, with every vector that was connected, and nothing is left over", async (t) => {
    t.diagnostic(`${await msixDeaths(false, 40)} rounds of stores`);
  });
  it("does so on a KVM guest, too", kvmTests, async (t) => {
    t.diagnostic(`${await msixDeaths(true, 20)} rounds of stores`);
  });
});

describe("MSI-X that another view of the host has open", () => {
  it("is one: what the one stores the other loads, connects, masks and ends", () => {
    const on = machine(false);
    const { host, vm, msix, nic } = on;
    const there = Host.attach(host.handle);
    const again = Msix.open(Vm.open(there, vm.handle as number), msix.handle, () => Eventfd.create(there));
    again.control = ENABLE;
    again.table.write(16, entryOf(1, 3));
    assert.deepEqual([msix.control, ...msix.table.read(16, 16)], [ENABLE + 2, ...entryOf(1, 3)]);
    nic.vector("msix", 1).signal();
    assert.deepEqual(on.arrived(), [firstOf(1) + 3]);
    (vm as Vm).setGsiRouting([]); // and the routes are gone
    msix.table.write(16, entryOf(1, 4));
    nic.vector("msix", 1).signal();
    assert.deepEqual(on.arrived(), [firstOf(1) + 4]);
    there.dispose();
    nic.vector("msix", 1).signal();
    assert.deepEqual(on.arrived(), [firstOf(1) + 4], "what the other view has connected went with it");
    on.end();
  });

  it("ends in both, by either's dispose and by the device's end", () => {
    for (const end of ["msix", "again", "nic"] as const) {
      const on = machine(false);
      const { handle } = on.msix;
      const again = Msix.open(on.vm as Vm, handle, () => Eventfd.create(on.host));
      openAll(on);
      ({ ...on, again })[end].dispose();
      for (const one of [on.msix, again]) {
        assert.throws(() => one.control, { code: "EBADF", message: /this MSI-X was disposed/ });
        assert.throws(() => one.table.write(0, [1]), { code: "EBADF" });
        one.dispose();
      }
      assert.throws(() => Msix.open(on.vm as Vm, handle, () => Eventfd.create(on.host)), { code: "ESTALE" });
      on.end();
    }
  });

  it("ends with the device where the thread of that leaves the host", () => {
    const on = machine(false);
    const there = Host.attach(on.host.handle);
    const nic = new VfioPciDevice(there, { msix: 2 });
    const theirs = new Msix(Vm.open(there, on.vm.handle as number), nic, () => Eventfd.create(there));
    const msix = Msix.open(on.vm as Vm, theirs.handle, () => Eventfd.create(on.host));
    msix.table.write(0, entryOf(0, 1)); // connected to nothing: with a trigger that thread would have to end it first
    there.dispose();
    assert.throws(() => msix.control, { code: "EBADF", message: /this MSI-X was disposed, or its device/ });
    assert.deepEqual(on.host.audit().findings, []);
    on.end();
  });

  it("is refused for another VM, and for what is no MSI-X", () => {
    const on = machine(false);
    const create = () => Eventfd.create(on.host);
    const other = new Vm(on.host);
    assert.throws(() => Msix.open(other, on.msix.handle, create), { code: "EINVAL", message: /pass that/ });
    assert.throws(() => Msix.open(on.vm as Vm, on.nic.handle as number, create), { code: "ESTALE" });
    assert.throws(() => VfioPciDevice.open(on.host, on.msix.handle as number), { code: "ESTALE" });
    other.dispose();
    on.end();
  });

  it("gives way to a new one of the same device", () => {
    const on = machine(false);
    openAll(on);
    const newer = new Msix(on.vm as Vm, on.nic, () => Eventfd.create(on.host));
    assert.throws(() => on.msix.control, { code: "EBADF" });
    newer.control = ENABLE;
    newer.table.write(0, entryOf(0, 5));
    on.nic.vector("msix", 0).signal();
    assert.deepEqual(on.arrived(), [firstOf(0) + 5]);
    newer.dispose();
    on.end();
  });
});
