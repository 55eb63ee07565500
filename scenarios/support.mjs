// What the scenarios share: a small guest on a host that several threads see.
import { Eventfd, Producer, Vcpu, Vm } from "irqbypass";
import { hosts } from "irqbypass/explore";
import { Header } from "#src/host/layout.js";
import { runRelay } from "#src/vm/relay.js";

/** The vector that every interrupt here has, and where its bit is. */
export const VECTOR = 0x41;
export const BIT = 1 << (VECTOR & 31);
const PIR = 16 + (VECTOR >>> 5);

/**
 * A host with one VM of two vCPUs, whose GSI 24 goes to the first of them, and an eventfd. The first thread made it all.
 */
export function guest(world, names, options) {
  const seen = hosts(world, names, options);
  const host = seen[names[0]];
  const vm = new Vm(host, { vcpus: 2 });
  vm.setGsiRouting([{ gsi: 24, msi: { vcpu: 0, vector: VECTOR } }]);
  const eventfd = Eventfd.create(host);
  return { hosts: seen, host, vm, eventfd };
}

/** The producer of `eventfd`, registered by the thread of `host`. */
export function producer(host, eventfd) {
  const own = Eventfd.open(host, eventfd.handle);
  const made = Producer.create(host);
  made.register(own);
  return made;
}

/** The vCPU with an index, taken onto the thread of `host`. */
export const openVcpu = (host, vm, index = 0) => Vcpu.open(host, vm.vcpu(index).handle);

/** Is the interrupt posted to this vCPU, or taken into its local APIC already? For checks. */
export function arrived(host, vm, index = 0) {
  const { record } = vm.vcpu(index);
  return ((host.words.load(record + PIR) | host.words.get(record + 32 + (VECTOR >>> 5))) & BIT) !== 0;
}

/** The word of the descriptor with the interrupt's bit. */
export const pirWord = (vm, index = 0) => vm.vcpu(index).record + PIR;

/** The relay thread's part; a daemon. */
export function relay(host) {
  host.words.store(Header.relays, 2); // running
  return () => runRelay(host);
}

export function expect(holds, sentence) {
  if (!holds) throw new Error(sentence);
}
