/**
 * The record of a VM with those of its vCPUs: how they are made and given back.
 */
import type { BypassHost } from "../bypass/bypass-host.js";
import { show } from "../host/argument.js";
import { IrqBypassError } from "../host/errors.js";
import { Header, MAX_VCPUS, Vm as V, Vcpu, VmFlag } from "../host/layout.js";
import { initialise } from "../posting/descriptor.js";
import { deassignAll } from "./assignment.js";
import { vcpusOf } from "./delivery.js";
import { reset } from "./ioapic.js";
import { removeTable } from "./reroute.js";
import { freeTable } from "./routing.js";
import { vmMutex } from "./vm-mutex.js";

/** A new VM, with or without local APICs. Throws EINVAL, and ENOMEM with nothing left behind. */
export function createVm(host: BypassHost, vcpus = 1, apic = true): number {
  if (!Number.isInteger(vcpus) || vcpus < 1 || vcpus > MAX_VCPUS) {
    throw new IrqBypassError("EINVAL", `a VM has 1 to ${MAX_VCPUS} vCPUs, not ${show(vcpus)}`);
  }
  const { words, mutex, pools, thread } = host;
  const record = mutex.guard(() => {
    const made = pools.vm.allocate();
    words.set(made + V.flags, apic ? 0 : VmFlag.bare);
    words.set(made + V.owner, thread.record); // last: without an owner it is half made
    return made;
  });
  try {
    if (apic) {
      reset(host, record);
      words.set(record + V.routing, words.get(Header.defaultRouting));
    }
    for (let index = 0; index < vcpus; index++) mutex.guard(() => addVcpu(host, record, index, vcpus));
    return record;
  } catch (error) {
    freeVm(host, record);
    throw error;
  }
}

/** Adds one of `count` vCPUs. Under the host mutex. */
function addVcpu({ words, pools }: BypassHost, vm: number, index: number, count: number): void {
  const vcpu = pools.vcpu.allocate(count - index);
  words.set(vcpu + Vcpu.vm, vm);
  words.set(vcpu + Vcpu.index, index);
  initialise(words, vcpu);
  words.set(vm + V.vcpu + index, vcpu);
  words.set(vm + V.vcpus, index + 1); // last: the vCPUs that a VM does not count are nobody's
}

/** A vCPU of the VM that some thread runs, or 0. */
export function runningVcpu(host: BypassHost, vm: number): number {
  for (const vcpu of vcpusOf(host, vm)) if (host.words.load(vcpu + Vcpu.runner) !== 0) return vcpu;
  return 0;
}

/**
 * Deassigns every irqfd of a VM and gives it back. Nobody runs its vCPUs. Whoever comes after a death may do it again. What
 * the VM has open, `close` closes: after the fences of deassign, so nobody injects through it any more.
 */
export function disposeVm(host: BypassHost, vm: number, close: () => void = () => {}): void {
  const { words, thread } = host;
  const mutex = vmMutex(host, vm);
  mutex.guard(() => words.set(vm + V.dying, thread.record));
  const failure = deassignAll(host, mutex, vm);
  close();
  const table = mutex.guard(() => removeTable(host, vm));
  if (table !== 0) freeTable(host, table);
  freeVm(host, vm);
  if (failure !== undefined) throw failure;
}

/** Gives back a VM without irqfds and tables. */
function freeVm(host: BypassHost, vm: number): void {
  const { words, mutex, pools } = host;
  for (let index = words.get(vm + V.vcpus) - 1; index >= 0; index--) {
    mutex.guard(() => {
      words.set(vm + V.vcpus, index); // first: as above
      pools.vcpu.release(words.get(vm + V.vcpu + index));
    });
  }
  mutex.guard(() => pools.vm.release(vm));
}
