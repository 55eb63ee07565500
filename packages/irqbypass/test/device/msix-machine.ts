/** What the tests of MSI-X from several threads play on: a device, a VM of either kind, and the threads that store and signal. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { Worker } from "node:worker_threads";
import { Eventfd, type EventfdContext, Host, Msix, Vcpu, VfioPciDevice, Vm } from "irqbypass";
import { KvmVm, kvm, requestedVectors } from "irqbypass/kvm";
import { LinuxEventfd, linux } from "irqbypass/linux";
import { Board, ENABLE, entryOf, firstOf, type Part, VECTORS } from "./msix-board.js";

/** A device of three vectors, and a VM of either kind. */
export function machine(isKvm: boolean) {
  const host = Host.create(isKvm ? { kinds: [linux(), kvm()] } : {});
  const nic = new VfioPciDevice(host, { msix: VECTORS });
  const vm = isKvm ? new KvmVm(host, { vcpus: 2 }) : new Vm(host, { vcpus: 2 });
  const msix = (
    vm instanceof KvmVm
      ? new Msix(vm, nic, () => LinuxEventfd.create(host))
      : new Msix(vm, nic, () => Eventfd.create(host))
  ) as Msix<EventfdContext>;
  const vcpus = vm instanceof Vm ? [0, 1].map((index) => Vcpu.open(host, vm.vcpu(index).handle)) : [];
  /** The vectors that have come since the last look, of every vCPU. */
  const arrived = () => {
    if (vm instanceof KvmVm) {
      const found = vm.machine.vcpus.flatMap((vcpu) => requestedVectors(vcpu.lapic()));
      vm.reset(); // its vCPUs do not run
      return found;
    }
    return vcpus.flatMap((vcpu) => {
      const found: number[] = [];
      for (let vector = vcpu.acknowledge(); vector !== undefined; vector = vcpu.acknowledge()) {
        found.push(vector);
        vcpu.eoi();
      }
      return found;
    });
  };
  const board = new Int32Array(new SharedArrayBuffer(Board.words * 4));
  const begin = async (place: number) => {
    const part: Part = {
      ...{ host: host.handle, nic: nic.handle, msix: msix.handle, vm: vm.handle },
      ...{ kvm: isKvm, board, place },
    };
    const worker = new Worker(new URL("./msix-thread.js", import.meta.url), { workerData: part });
    const failed = once(worker, "error").then(([error]) => Promise.reject(error));
    failed.catch(() => {}); // without a failure nobody awaits it
    while (Atomics.load(board, Board.over + place) !== -1)
      await Promise.race([new Promise((resolve) => setTimeout(resolve, 5)), failed]);
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

export type Machine = ReturnType<typeof machine>;
const numberOf = (vector: number) => (vector - firstOf(0)) >> 4;

/** Every vector is unmasked, and leads somewhere. */
export function openAll({ msix }: Machine): void {
  msix.control = ENABLE;
  for (let number = 0; number < VECTORS; number++) msix.table.write(number * 16, entryOf(number, 1));
}

/** Plays one round in these threads, and returns when all are through. */
export function play(board: Int32Array, round: number, burst: number, places: readonly number[]): void {
  Atomics.store(board, Board.burst, burst);
  Atomics.store(board, Board.round, round);
  for (const place of places) while (Atomics.load(board, Board.over + place) !== round);
}

export async function leave(board: Int32Array, workers: readonly Worker[]): Promise<void> {
  Atomics.store(board, Board.round, -1);
  await Promise.all(workers.map((worker) => once(worker, "exit")));
}

/** After each round, with all open again: each vector's burst is at least one interrupt and none too many, and nothing is pending. */
export function check({ msix, arrived }: Machine, round: number, burst: number): void {
  const found = arrived();
  for (let number = 0; number < VECTORS; number++) {
    const own = found.filter((vector) => numberOf(vector) === number).length;
    assert.ok(own >= 1 && own <= burst, `round ${round}: ${burst} signals of vector ${number} are ${own}`);
  }
  assert.deepEqual([...msix.pba.read(0, 1)], [0], `round ${round}: pending in a vector that nothing masks`);
}

/** Rounds of stores of two vCPUs' threads, each beside a burst of the device's: so many signals of all vectors altogether. */
export async function msixStress(rounds: number, signals: number): Promise<{ readonly signals: number }> {
  const on = machine(false);
  openAll(on);
  const workers = await Promise.all([0, 1, 2].map(on.begin));
  const most = Math.ceil((2 * signals) / rounds / VECTORS);
  let sent = 0;
  for (let round = 1; round <= rounds; round++) {
    // Every other burst is one signal, which must be exactly one interrupt.
    const burst = round % 2 === 0 ? 1 : most;
    play(on.board, round, burst, [0, 1, 2]);
    openAll(on);
    check(on, round, burst);
    sent += burst * VECTORS;
  }
  on.nic.adopt(); // it would end with the thread that signals it
  await leave(on.board, workers);
  openAll(on); // what the threads have connected that have left
  on.nic.vector("msix", 2).signal();
  assert.deepEqual(on.arrived(), [firstOf(2) + 1]);
  on.end();
  return { signals: sent };
}

/**
 * A vCPU's thread is ended while it stores, again and again: MSI-X goes on without it, no signal after it is lost or leads where an older
 * store says, and nothing is left over. Returns how many stores the threads made.
 */
export async function msixDeaths(isKvm: boolean, deaths: number): Promise<number> {
  const on = machine(isKvm);
  openAll(on);
  let rounds = 0;
  for (let turn = 1; turn <= deaths; turn++) {
    Atomics.store(on.board, Board.over + 1, 0);
    Atomics.store(on.board, Board.round, 0);
    const worker = await on.begin(1);
    let round = 0;
    // As fast as it can, so that it is somewhere in a store when it is ended: early ones and, once it is compiled, late ones.
    const until = performance.now() + 1 + 3 * (turn % 7);
    while (performance.now() < until) play(on.board, ++round, 1, [1]);
    Atomics.store(on.board, Board.round, round + 1);
    await on.host.terminate(worker);
    rounds += round;
    on.arrived();
    openAll(on);
    on.arrived();
    for (let number = 0; number < VECTORS; number++) {
      on.msix.table.write(number * 16, entryOf(number, turn & 7));
      on.nic.vector("msix", number).signal();
    }
    const wanted = Array.from({ length: VECTORS }, (_, number) => firstOf(number) + (turn & 7));
    assert.deepEqual(
      on.arrived().sort((a, b) => a - b),
      wanted,
      `turn ${turn}`,
    );
    assert.deepEqual(
      [...on.msix.pba.read(0, 1)],
      [0],
      `turn ${turn}: pending in a vector that nothing masks`,
    );
    assert.deepEqual(on.host.audit().findings, [], `turn ${turn}`);
  }
  on.end();
  return rounds;
}
