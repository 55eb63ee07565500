import { MAX_VCPUS, Vm, VmFlag } from "../host/layout.js";
import type { HostMemory } from "../host/memory.js";
import type { Words } from "../host/words.js";

/** The vCPU records of a VM, by index: in the order in which they were made. */
export function* vcpusOf({ words }: HostMemory, vm: number): Generator<number> {
  const count = words.get(vm + Vm.vcpus);
  for (let index = 0; index < count; index++) yield words.get(vm + Vm.vcpu + index);
}

/** How many vCPUs a VM has, a KVM guest too: that has no records of them. */
export function countVcpus(words: Words, vm: number): number {
  let count = 0;
  while (count < MAX_VCPUS && words.get(vm + Vm.vcpu + count) !== 0) count++;
  return count;
}

/** Has a message to them room for an id of more than 8 bits, in the upper half of its address? KVM is not told so (KVM_CAP_X2APIC_API). */
export function hasLongIds(words: Words, vm: number): boolean {
  return (words.get(vm + Vm.flags) & (VmFlag.kvm | VmFlag.shortIds)) === 0;
}
