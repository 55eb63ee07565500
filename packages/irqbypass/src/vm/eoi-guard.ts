/**
 * The guard against a level that is requested again by every EOI: after very many, one after the other, the next one comes only after a moment,
 * so that a guest whose device nobody serves gets on all the same (kvm_ioapic_eoi_inject_work). The relay is who waits.
 */
import { askForRelay } from "../eventfd/relay-state.js";
import { Header, Vm } from "../host/layout.js";
import type { HostMemory } from "../host/memory.js";

/** From then on for this long (a hundredth of a second, in KVM HZ/100 jiffies). */
export const DELAY_MS = 10;

/** What a VM's I/O APIC has to deliver again is left to the relay. Under the VM's mutex. */
export function delayEois(memory: HostMemory, vm: number): void {
  const { words, pending } = memory;
  words.store(vm + Vm.delayed, 1); // before the header's: by this one the relay finds it
  words.store(Header.delayed, 1);
  pending.ring();
  askForRelay(memory, 0);
}
