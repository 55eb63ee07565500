import { Device, Producer, Vm as V, Vcpu, VmFlag } from "../host/layout.js";
import type { HostMemory } from "../host/memory.js";
import { countVcpus } from "./vcpus.js";

/**
 * What the calling thread has to end before it may leave the host, each by name: its producers, the devices that have some, the
 * vCPUs that it runs, the KVM guests that it made, which nobody else can end, and, for whoever created the host, all VMs.
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
  memory.forEachLive(pools.vm, (vm) => {
    const isGuest = (words.get(vm + V.flags) & VmFlag.kvm) !== 0;
    if (!creator && !(isGuest && words.get(vm + V.owner) === thread.record)) return;
    const count = countVcpus(words, vm);
    left.push(`VM ${pools.vm.slot(vm)} (${count} vCPU${count === 1 ? "" : "s"})`);
  });
  return left;
}
