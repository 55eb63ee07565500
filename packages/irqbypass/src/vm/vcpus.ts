import { Vm } from "../host/layout.js";
import type { HostMemory } from "../host/memory.js";

/** The vCPU records of a VM, by index: in the order in which they were made. */
export function* vcpusOf({ words }: HostMemory, vm: number): Generator<number> {
  const count = words.get(vm + Vm.vcpus);
  for (let index = 0; index < count; index++) yield words.get(vm + Vm.vcpu + index);
}
