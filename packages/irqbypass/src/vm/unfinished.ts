import { Device, Producer, Vm as V, Vcpu } from "../host/layout.js";
import type { HostMemory } from "../host/memory.js";

/**
 * What the calling thread has to end before it may leave the host, each by name: its producers, the devices that have some, the
 * vCPUs that it runs and, for whoever created the host, the VMs.
 */
export function unfinishedOf(memory: HostMemory, creator: boolean): string[] {
  const { words, pools, thread } = memory;
  const left: string[] = [];
  const devices = new Set<string>();
  memory.forEachLive(pools.producer, (producer) => {
    const mine = words.get(producer + Producer.owner) === thread.record;
    if (!mine || words.get(producer + Producer.eventfd) === 0) return;
    const gate = words.get(producer + Producer.gate);
    if (gate === 0) left.push(`producer ${pools.producer.slot(producer)}`);
    else devices.add(`device ${pools.device.slot(words.get(pools.device.around(gate) + Device.head))}`);
  });
  left.push(...devices);
  memory.forEachLive(pools.vcpu, (vcpu) => {
    if (words.load(vcpu + Vcpu.runner) !== thread.record) return;
    left.push(`vCPU ${words.get(vcpu + Vcpu.index)} of VM ${pools.vm.slot(words.get(vcpu + Vcpu.vm))}`);
  });
  if (creator) {
    memory.forEachLive(pools.vm, (vm) => {
      left.push(`VM ${pools.vm.slot(vm)} (${words.get(vm + V.vcpus)} vCPUs)`);
    });
  }
  return left;
}
