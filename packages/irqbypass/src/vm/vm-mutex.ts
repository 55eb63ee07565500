import { Vm } from "../host/layout.js";
import type { HostMemory } from "../host/memory.js";
import { Mutex } from "../host/mutex.js";

/** The mutex of a VM: its routing, its list of irqfds, its lines. Taken before the host mutex, never after it. */
export function vmMutex(memory: HostMemory, vm: number): Mutex {
  const name = `the mutex of VM ${memory.pools.vm.slot(vm)}`;
  return new Mutex(memory.words, vm + Vm.mutex, memory.thread, name, () => memory.repair.vm(vm));
}
