/**
 * The irqfds of a VM, in doubly linked lists by their GSI: out of one in constant time, where the kernel searches, and a change
 * of one route finds those that it concerns. All of it under the VM's mutex.
 */
import { liveRecords } from "../bypass/live-records.js";
import { Consumer, IRQFD_LISTS, LEVEL, Vm } from "../host/layout.js";
import type { HostMemory } from "../host/memory.js";
import { addResampler, removeResampler } from "./resample.js";

/** Where the list starts in which the irqfds of a GSI are, with those of some others. */
export function irqfdList(vm: number, gsi: number): number {
  return vm + Vm.irqfds + (gsi & (IRQFD_LISTS - 1));
}

/** The irqfds of a VM. */
export function* irqfdsOf({ words }: HostMemory, vm: number): Generator<number> {
  for (let list = 0; list < IRQFD_LISTS; list++) {
    for (let irqfd = words.get(irqfdList(vm, list)); irqfd !== 0; irqfd = words.get(irqfd + Consumer.next))
      yield irqfd;
  }
}

/** Those of one GSI. */
export function* irqfdsAt({ words }: HostMemory, vm: number, gsi: number): Generator<number> {
  for (let irqfd = words.get(irqfdList(vm, gsi)); irqfd !== 0; irqfd = words.get(irqfd + Consumer.next))
    if (words.get(irqfd + Consumer.gsi) === gsi) yield irqfd;
}

export function link(host: HostMemory, vm: number, irqfd: number): void {
  host.words.set(irqfd + Consumer.linked, 1); // first: by this the lists are made anew after a death
  enlist(host, vm, irqfd);
}

function enlist(host: HostMemory, vm: number, irqfd: number): void {
  const { words } = host;
  const list = irqfdList(vm, words.get(irqfd + Consumer.gsi));
  const head = words.get(list);
  words.set(irqfd + Consumer.previous, 0);
  words.set(irqfd + Consumer.next, head);
  if (head !== 0) words.set(head + Consumer.previous, irqfd);
  words.set(list, irqfd);
  words.set(vm + Vm.irqfdCount, words.get(vm + Vm.irqfdCount) + 1);
  if (words.get(irqfd + Consumer.flags) & LEVEL) addResampler(host, vm, irqfd);
}

export function unlink(host: HostMemory, vm: number, irqfd: number): void {
  const { words } = host;
  words.set(irqfd + Consumer.linked, 0);
  if (words.get(irqfd + Consumer.flags) & LEVEL) removeResampler(host, vm, irqfd);
  const previous = words.get(irqfd + Consumer.previous);
  const next = words.get(irqfd + Consumer.next);
  if (previous === 0) words.set(irqfdList(vm, words.get(irqfd + Consumer.gsi)), next);
  else words.set(previous + Consumer.next, next);
  if (next !== 0) words.set(next + Consumer.previous, previous);
  words.set(vm + Vm.irqfdCount, words.get(vm + Vm.irqfdCount) - 1);
}

/** Makes the lists anew, after a thread has died in the middle of a change. */
export function relink(host: HostMemory, vm: number): void {
  const { words, pools, mutex } = host;
  for (let list = 0; list < IRQFD_LISTS; list++) words.set(irqfdList(vm, list), 0);
  words.set(vm + Vm.irqfdCount, 0);
  words.store(vm + Vm.resamplers, 0);
  mutex.guard(() => {
    for (const irqfd of liveRecords(pools.consumer)) {
      if (words.get(irqfd + Consumer.vm) === vm && words.get(irqfd + Consumer.linked) === 1)
        enlist(host, vm, irqfd);
    }
  });
}
