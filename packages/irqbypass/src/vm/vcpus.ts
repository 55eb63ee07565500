import { MAX_VCPUS, Vm } from "../host/layout.js";
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
