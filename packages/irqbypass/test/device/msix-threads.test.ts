/** MSI-X from several threads: two vCPUs' threads that store beside a device's that signals, and one that leaves or dies. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { describe, it } from "node:test";
import { Worker } from "node:worker_threads";
import { Eventfd, type EventfdContext, Host, Msix, Vcpu, VfioPciDevice, Vm } from "irqbypass";
import { KvmVm, kvm, requestedVectors } from "irqbypass/kvm";
import { LinuxEventfd, linux } from "irqbypass/linux";
import { kvmTests } from "../kvm/available.js";
import { Board, ENABLE, entryOf, firstOf, type Part, VECTORS } from "./msix-board.js";

/** A device of three vectors, and a VM of either kind. */
function machine(isKvm: boolean) {
  const host = Host.create(isKvm ? { kinds: [linux(), kvm()] } : {});
  const nic = new VfioPciDevice(host, { msix: VECTORS });
  const vm = isKvm ? new KvmVm(host, { vcpus: 2 }) : new Vm(host, { vcpus: 2 });
  const msix = (
    vm instanceof KvmVm
      ? new Msix(vm, nic, () => LinuxEventfd.create(host))
      : new Msix(vm, nic, () => Eventfd.create(host))
  ) as Msix<EventfdContext>;
  const vcpus = vm instanceof Vm ? [0, 1].map((index) => Vcpu.open(host, vm.vcpu(index).handle)) : [];
  /** The vectors that have come since the last look, of every vCPU; on KVM, whose vCPUs do not run, all that ever have. */
  const arrived = () =>
    vm instanceof KvmVm
      ? vm.machine.vcpus.flatMap((vcpu) => requestedVectors(vcpu.lapic()))
      : vcpus.flatMap((vcpu) => {
          const found: number[] = [];
          for (let vector = vcpu.acknowledge(); vector !== undefined; vector = vcpu.acknowledge()) {
            found.push(vector);
            vcpu.eoi();
          }
          return found;
        });
  const board = new Int32Array(new SharedArrayBuffer(Board.words * 4));
  const begin = async (place: number) => {
    const part: Part = {
      ...{ host: host.handle, nic: nic.handle, msix: msix.handle, vm: vm.handle },
      ...{ kvm: isKvm, board, place },
    };
    const worker = new Worker(new URL("./msix-thread.js", import.meta.url), { workerData: part });
    while (Atomics.load(board, Board.over + place) !== -1)
      await Promise.race([
        new Promise((resolve) => setTimeout(resolve, 5)),
        once(worker, "error").then(([error]) => Promise.reject(error)),
      ]);
    return worker;
  };
  const end = () => {
    msix.dispose();
    nic.dispose();
    for (const vcpu of vcpus) vcpu.put();
    vm.dispose();
    assert.deepEqual(host.audit().findings, []);
    const { eventfd, reference, consumer, producer, device, route } = host.pools;
    assert.deepEqual(
      [eventfd, reference, consumer, producer, device].map(({ live }) => live),
      [0, 0, 0, 0, 0],
    );
    assert.equal(route.live, 40, "a route is left beside those that every VM begins with");
    host.dispose();
  };
  return { host, nic, vm, msix, arrived, board, begin, end };
}

type Machine = ReturnType<typeof machine>;
const numberOf = (vector: number) => (vector - firstOf(0)) >> 4;

/** Every vector is unmasked, and leads somewhere. */
function openAll({ msix }: Machine): void {
  msix.control = ENABLE;
  for (let number = 0; number < VECTORS; number++) msix.table.write(number * 16, entryOf(number, 1));
}

/** Plays one round in these threads, and returns when all are through. */
function play(board: Int32Array, round: number, burst: number, places: readonly number[]): void {
  Atomics.store(board, Board.burst, burst);
  Atomics.store(board, Board.round, round);
  for (const place of places) while (Atomics.load(board, Board.over + place) !== round);
}

async function leave(board: Int32Array, workers: readonly Worker[]): Promise<void> {
  Atomics.store(board, Board.round, -1);
  await Promise.all(workers.map((worker) => once(worker, "exit")));
}

/** After each round, with all open again: each vector's burst is at least one interrupt and none too many, and nothing is pending. */
function check({ msix, arrived }: Machine, round: number, burst: number): void {
  const found = arrived();
  for (let number = 0; number < VECTORS; number++) {
    const own = found.filter((vector) => numberOf(vector) === number).length;
    assert.ok(own >= 1 && own <= burst, `round ${round}: ${burst} signals of vector ${number} are ${own}`);
  }
  assert.deepEqual([...msix.pba.read(0, 1)], [0], `round ${round}: pending in a vector that nothing masks`);
}

describe("MSI-X of two vCPUs' threads beside the device's", () => {
  it("loses no signal and makes none up, whatever they store to the same entry and to others", async () => {
    const on = machine(false);
    openAll(on);
    const workers = await Promise.all([0, 1, 2].map(on.begin));
    for (let round = 1; round <= 60; round++) {
      const burst = round % 2 === 0 ? 1 : 20;
      play(on.board, round, burst, [0, 1, 2]);
      openAll(on);
      check(on, round, burst);
    }
    on.nic.adopt(); // it would end with the thread that signals it
    await leave(on.board, workers);
    openAll(on); // what the threads have connected that have left
    on.nic.vector("msix", 2).signal();
    assert.deepEqual(on.arrived(), [firstOf(2) + 1]);
    on.end();
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

/** A vCPU's thread is ended while it stores, again and again: MSI-X goes on without it. */
async function survives(isKvm: boolean, turns: number): Promise<void> {
  const on = machine(isKvm);
  openAll(on);
  for (let turn = 1; turn <= turns; turn++) {
    Atomics.store(on.board, Board.over + 1, 0);
    Atomics.store(on.board, Board.round, 0);
    const worker = await on.begin(1);
    let round = 0;
    // As fast as it can, so that it is somewhere in a store when it is ended.
    const until = performance.now() + 3 * turn;
    while (performance.now() < until) {
      play(on.board, ++round, 1, [1]);
    }
    Atomics.store(on.board, Board.round, round + 1);
    await on.host.terminate(worker);
    on.arrived();
    openAll(on);
    for (let number = 0; number < VECTORS; number++) {
      on.msix.table.write(number * 16, entryOf(number, turn & 7));
      on.nic.vector("msix", number).signal();
    }
    const found = on.arrived();
    for (let number = 0; number < VECTORS; number++)
      assert.ok(found.includes(firstOf(number) + (turn & 7)), `turn ${turn}: vector ${number} is lost`);
    assert.deepEqual(on.host.audit().findings, []);
  }
  on.end();
}

describe("MSI-X whose vCPU's thread is ended in the middle of a store", () => {
  it("goes on, with every vector that was connected, and nothing is left over", () => survives(false, 5));
  it("does so on a KVM guest, too", kvmTests, () => survives(true, 3));
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
