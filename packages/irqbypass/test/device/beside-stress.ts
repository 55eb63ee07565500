/**
 * A device that one thread signals in bursts while this one, the VMM's, does something to it: each round has one control operation
 * beside one burst. What came of the burst is added up when both are over: in the counter of a plain eventfd, at the vCPU to which the
 * other eventfd is bypassed, or pending.
 */
import assert from "node:assert/strict";
import { once } from "node:events";
import { Worker } from "node:worker_threads";
import { type DeviceVector, Eventfd, Vcpu, VfioPciDevice, Vm } from "irqbypass";
import { smallHost } from "./support.js";

/** Words that both threads share: the round that is on, its burst, the round that is over, signals so far. */
export const enum Board {
  round = 0,
  burst = 1,
  over = 2,
  words = 4,
}

/** What a round has left, in all places. */
interface Found {
  readonly counted: number;
  readonly interrupts: number;
}

/** Plays `rounds` rounds with `signals` signals altogether; returns what there was, by operation. */
export async function besideStress(rounds: number, signals: number, seed = 1) {
  const host = smallHost();
  const vm = new Vm(host);
  const route = (vector: number) => vm.setGsiRouting([{ gsi: 24, msi: { vcpu: 0, vector } }]);
  route(0x41);
  const vcpu = Vcpu.open(host, vm.vcpu(0).handle);
  const [plain, bypassed] = [Eventfd.create(host), Eventfd.create(host)];
  const irqfd = vm.irqfd(bypassed, 24, { bypass: "require" });
  const nic = new VfioPciDevice(host, { msix: 2 });
  nic.setTrigger("msix", 0, bypassed);
  const vector = nic.vector("msix", 0);
  const board = new Int32Array(new SharedArrayBuffer(Board.words * 4));
  const device = new Worker(new URL("./beside-device.js", import.meta.url), {
    workerData: { host: host.handle, nic: nic.handle, board },
  });
  const ended = once(device, "exit");
  const tally = new Map<string, { rounds: number; signals: number; counted: number; interrupts: number }>();
  let random = seed;
  const next = (below: number) => {
    random = (Math.imul(random, 1103515245) + 12345) >>> 0;
    return (random >>> 8) % below;
  };
  const burstOf = Math.max(1, Math.floor((2 * signals) / rounds));
  const acts = operations({ vm, nic, vector, plain, bypassed, route, next, taken: () => take(vcpu) });
  while (Atomics.load(board, Board.over) !== -1) await new Promise((resolve) => setTimeout(resolve, 5)); // it has adopted the device
  try {
    for (let round = 1; round <= rounds; round++) {
      const [name, act] = acts[next(acts.length)]!;
      // Every other burst is one signal, of which there must be exactly one; the others have the operation in their middle.
      const burst = round % 2 === 0 ? 1 : 1 + next(2 * burstOf);
      Atomics.store(board, Board.burst, burst);
      Atomics.store(board, Board.round, round);
      for (let spin = next(300); spin > 0; spin--);
      const during = act();
      while (Atomics.load(board, Board.over) !== round);
      const found = {
        counted: during.counted + Number(plain.tryRead() ?? 0n) + Number(bypassed.tryRead() ?? 0n),
        interrupts: during.interrupts + take(vcpu),
      };
      check(round, name, burst, found, vector);
      const row = tally.get(name) ?? { rounds: 0, signals: 0, counted: 0, interrupts: 0 };
      row.rounds += 1;
      row.signals += burst;
      row.counted += found.counted;
      row.interrupts += found.interrupts;
      tally.set(name, row);
    }
  } finally {
    Atomics.store(board, Board.round, -1);
    while (Atomics.load(board, Board.over) !== -1);
    nic.adopt();
    Atomics.store(board, Board.round, -2);
    await ended;
  }
  vector.signal();
  assert.equal(Number(plain.tryRead() ?? 0n) + take(vcpu), 1, "the device that came back does not signal");
  nic.dispose();
  irqfd.dispose();
  vcpu.put();
  vm.dispose();
  const { findings } = host.audit();
  assert.deepEqual(findings, []);
  host.dispose();
  return tally;
}

function check(
  round: number,
  name: string,
  burst: number,
  { counted, interrupts }: Found,
  vector: DeviceVector,
) {
  const found = counted + interrupts;
  const where = `round ${round}, ${name}, burst of ${burst}: ${counted} counted, ${interrupts} interrupts`;
  assert.equal(vector.pending, false, `${where}: pending in a vector that nothing holds back`);
  assert.ok(found <= burst, `${where}: more than were sent`);
  if (name !== "reset") assert.ok(found >= 1, `${where}: lost`); // a reset forgets what is pending
}

type Operation = readonly [name: string, act: () => Found];

/** What the VMM does, each from and to a vector that is open. Returns what had to be taken in the middle. */
function operations(on: {
  readonly vm: Vm;
  readonly nic: VfioPciDevice;
  readonly vector: DeviceVector;
  readonly plain: Eventfd;
  readonly bypassed: Eventfd;
  readonly route: (vector: number) => void;
  readonly next: (below: number) => number;
  readonly taken: () => number;
}): readonly Operation[] {
  const { nic, vector, plain, bypassed, route, next, taken } = on;
  const nothing = { counted: 0, interrupts: 0 };
  const still = (what: string) => {
    // Nothing may come as long as it is held back, whatever the device does.
    const interrupts = taken();
    const counted = Number(plain.tryRead() ?? 0n);
    for (let look = next(50); look > 0; look--)
      assert.deepEqual([taken(), plain.count], [0, 0n], `it came although ${what}`);
    return { counted, interrupts };
  };
  let isPlain = false;
  const set = () => nic.setTrigger("msix", 0, isPlain ? plain : bypassed);
  return [
    [
      "mask",
      () => {
        vector.mask();
        const found = still("it was masked");
        vector.unmask();
        return found;
      },
    ],
    [
      "function mask",
      () => {
        nic.functionMask = true;
        const found = still("the function was masked");
        nic.functionMask = false;
        return found;
      },
    ],
    [
      "retarget",
      () => {
        isPlain = !isPlain;
        set();
        return nothing;
      },
    ],
    [
      "take away",
      () => {
        nic.setTrigger("msix", 0, null);
        const found = still("it has no trigger");
        set();
        return found;
      },
    ],
    [
      "disable",
      () => {
        nic.disable("msix");
        const found = still("MSI-X is off");
        set();
        return found;
      },
    ],
    [
      "re-route",
      () => {
        route(0x41 + next(8));
        return nothing;
      },
    ],
    [
      "reset",
      () => {
        nic.reset();
        return nothing;
      },
    ],
  ];
}

/** The interrupts that have come, taken. */
function take(vcpu: Vcpu): number {
  let taken = 0;
  while (vcpu.acknowledge() !== undefined) {
    vcpu.eoi();
    taken += 1;
  }
  return taken;
}
