/** A thread of the tests of MSI-X from several threads: the device's, which signals in bursts, or a vCPU's, which stores. */
import { workerData } from "node:worker_threads";
import { Eventfd, type EventfdContext, Host, Msix, VfioPciDevice, Vm } from "irqbypass";
import { KvmVm, kvm } from "irqbypass/kvm";
import { LinuxEventfd, linux } from "irqbypass/linux";
import { Board, ENABLE, entryOf, FUNCTION_MASK, type Part, VECTORS } from "./msix-board.js";

const part = workerData as Part;
const { board, place } = part;
const host = Host.attach(part.host, part.kvm ? { kinds: [linux(), kvm()] } : {});
const act = place === 0 ? device() : vcpu(place);
Atomics.store(board, Board.over + place, -1); // it is at it
for (let round = 0; ; ) {
  const now = Atomics.load(board, Board.round);
  if (now === round) continue;
  if (now < 0) break;
  round = now;
  act(Atomics.load(board, Board.burst));
  Atomics.store(board, Board.over + place, round);
}
host.dispose();
Atomics.store(board, Board.over + place, -2);

function device(): (burst: number) => void {
  const nic = VfioPciDevice.open(host, part.nic);
  nic.adopt();
  const vectors = Array.from({ length: VECTORS }, (_, number) => nic.vector("msix", number));
  return (burst) => {
    for (let left = burst; left > 0; left--) for (const vector of vectors) vector.signal();
  };
}

function open(): Msix<EventfdContext> {
  if (!part.kvm) return Msix.open(Vm.open(host, part.vm), part.msix, () => Eventfd.create(host));
  const msix = Msix.open(KvmVm.open(host, part.vm), part.msix, () => LinuxEventfd.create(host));
  return msix as unknown as Msix<EventfdContext>;
}

/** Stores to an entry of its own and to one that both have; masks it, and the function; turns MSI-X off and on. */
function vcpu(seed: number): () => void {
  const msix = open();
  let random = seed;
  const next = (below: number) => {
    random = (Math.imul(random, 1103515245) + 12345) >>> 0;
    return (random >>> 8) % below;
  };
  return () => {
    for (let stores = 1 + next(3); stores > 0; stores--) {
      const number = next(2) === 0 ? 0 : seed;
      const kind = next(8);
      if (kind < 4) msix.table.write(number * 16, entryOf(number, next(16)));
      else if (kind === 4) msix.table.write(number * 16, entryOf(number, next(16), 1));
      else if (kind === 5) msix.table.write(number * 16 + 12, [next(2)]);
      else if (kind === 6) msix.control = ENABLE | (next(2) * FUNCTION_MASK);
      else msix.control = next(2) * ENABLE;
      msix.table.read(number * 16, 16);
      msix.pba.read(0, 8);
    }
  };
}
