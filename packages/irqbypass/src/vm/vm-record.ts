/**
 * The record of a VM with those of its vCPUs: how they are made and given back.
 */
import type { BypassHost } from "../bypass/bypass-host.js";
import { IrqBypassError } from "../host/errors.js";
import { Header, Vm as V, Vcpu, VmFlag } from "../host/layout.js";
import { BusyError } from "../host/mutex.js";
import { initialiseSuspended } from "../posting/descriptor.js";
import { mapOf } from "./apic/map.js";
import { begin } from "./apic/power-on.js";
import { deassignAll } from "./assignment.js";
import { deassignIoeventfds } from "./io-assignment.js";
import { busChanged } from "./io-bus.js";
import { reset } from "./ioapic.js";
import { removeTable } from "./reroute.js";
import { freeTable } from "./routing.js";
import { vcpusOf } from "./vcpus.js";
import { vmMutex } from "./vm-mutex.js";

/** How long a thread sleeps before it looks again whether another has disposed a VM. */
const NAP_MS = 2;

/** What a VM is made with. */
export interface VmPlan {
  /** {@link VmFlag}. */
  readonly flags: number;
  /** The x2APIC ids of its vCPUs, which say how many there are. */
  readonly ids: readonly number[];
}

/** A new VM, with or without local APICs. Throws ENOMEM with nothing left behind. */
export function createVm(host: BypassHost, { flags, ids }: VmPlan): number {
  const { words, mutex, pools, thread } = host;
  const record = mutex.guard(() => {
    pools.vm.checkRoom();
    pools.vcpu.checkRoom(ids.length);
    const made = pools.vm.allocate();
    words.set(made + V.flags, flags);
    words.set(made + V.owner, thread.record); // last: without an owner it is half made
    return made;
  });
  try {
    if ((flags & VmFlag.bare) === 0) {
      reset(host, record);
      words.set(record + V.routing, words.get(Header.defaultRouting));
    }
    for (let index = 0; index < ids.length; index++) mutex.guard(() => addVcpu(host, record, index, ids));
    words.store(record + V.apicMap, mapOf(host, record));
    return record;
  } catch (error) {
    freeVm(host, record);
    throw error;
  }
}

/** Adds the next one of the vCPUs with these ids. Under the host mutex. */
function addVcpu({ words, pools }: BypassHost, vm: number, index: number, ids: readonly number[]): void {
  const vcpu = pools.vcpu.allocate(ids.length - index);
  words.set(vcpu + Vcpu.vm, vm);
  words.set(vcpu + Vcpu.index, index);
  begin(words, vcpu, ids[index]!);
  initialiseSuspended(words, vcpu + Vcpu.descriptor);
  words.set(vm + V.vcpu + index, vcpu);
  words.set(vm + V.vcpus, index + 1); // last: the vCPUs that a VM does not count are nobody's
}

/** A vCPU of the VM that some thread runs, or 0. Nobody starts to run one while the host mutex is held. */
export function runningVcpu(host: BypassHost, vm: number): number {
  for (const vcpu of vcpusOf(host, vm)) {
    if (host.words.load(vcpu + Vcpu.runner) !== 0) return vcpu;
  }
  return 0;
}

/** What came of the wish to dispose a VM: it is the caller's, or it is another thread's, or there is none. */
export type Claim = "mine" | "gone" | { readonly disposer: number };

/**
 * The VM in this record is the calling thread's to dispose from here on, where it `isMeant`: it takes no irqfd any more, and
 * nobody can run its vCPUs. The disposer that `instead` names has died. Throws EBUSY while a thread runs one of its vCPUs, with
 * nothing changed.
 */
export function claimVm(host: BypassHost, vm: number, isMeant: () => boolean, instead = 0): Claim {
  const { words, mutex, thread, pools } = host;
  const claim = (): Claim => {
    if (!pools.vm.lives(vm) || !isMeant()) return "gone";
    const disposer = words.get(vm + V.dying);
    if (disposer !== 0 && disposer !== instead && disposer !== thread.record) return { disposer };
    const running = runningVcpu(host, vm);
    if (running !== 0) throw stillRunning(host, vm, running);
    words.set(vm + V.dying, thread.record); // first: whoever comes after this thread's death ends the other lives
    for (const vcpu of vcpusOf(host, vm)) words.add(vcpu + Vcpu.life, 1);
    busChanged(host, vm); // a thread that knows its ioeventfds looks again, and finds out
    return "mine";
  };
  // Both: what takes irqfds and routes holds the one, and whoever is about to run a vCPU the other.
  return vmMutex(host, vm).enclose(() => mutex.guard(claim));
}

function stillRunning({ words, pools }: BypassHost, vm: number, vcpu: number): IrqBypassError {
  const name = `vCPU ${words.get(vcpu + Vcpu.index)} of VM ${pools.vm.slot(vm)}`;
  return new IrqBypassError("EBUSY", `${name} is running: put it before disposing the VM`, { subject: name });
}

/**
 * Disposes the VM in this record where it `isMeant` and is there, and waits for another thread that is at it: when this has
 * returned, it is gone. `close` as for {@link disposeVm}. Throws EBUSY while a thread runs one of its vCPUs.
 */
export function disposeClaimed(
  host: BypassHost,
  vm: number,
  isMeant: () => boolean,
  close?: () => void,
): void {
  const { words, thread, repair } = host;
  for (let dead = 0; ; ) {
    const claim = claimVm(host, vm, isMeant, dead);
    if (claim === "mine") disposeVm(host, vm, close);
    if (typeof claim === "string") return;
    // Nothing tells when the other is through: it lives, or is repaired after.
    if (repair !== undefined && thread.isDead(claim.disposer)) {
      dead = claim.disposer;
      repair.thread(dead);
    } else if (!thread.spin(() => !isMeant())) {
      // The other may have died, and the proof of that come to the event loop of this very thread.
      if (!thread.mayBlock)
        throw new BusyError(`VM ${host.pools.vm.slot(vm)}`, "is being disposed by another thread");
      // On a word of this very thread, which nobody else wakes it by.
      thread.park(thread.writing, words.load(thread.writing), NAP_MS);
    }
  }
}

/**
 * Deassigns every irqfd and ioeventfd of a VM that the calling thread has claimed, and gives it back. Whoever comes after a death may do it
 * again. What the VM has open, `close` closes: after all fences, so nobody injects through it any more.
 */
export function disposeVm(host: BypassHost, vm: number, close: () => void = () => {}): void {
  const mutex = vmMutex(host, vm);
  const failure = deassignAll(host, mutex, vm);
  deassignIoeventfds(host, mutex, vm);
  // Whoever kicks one of its vCPUs, or sends a message through it, and has found it there before its life ended, is through after this.
  host.thread.quiesce();
  close();
  const table = mutex.guard(() => removeTable(host, vm));
  if (table !== 0) freeTable(host, table);
  freeVm(host, vm);
  if (failure !== undefined) throw failure;
}

/** Gives back a VM without irqfds, ioeventfds and tables. */
function freeVm(host: BypassHost, vm: number): void {
  const { words, mutex, pools } = host;
  for (let index = words.get(vm + V.vcpus) - 1; index >= 0; index--) {
    mutex.guard(() => {
      words.set(vm + V.vcpus, index); // first: as above
      pools.vcpu.release(words.get(vm + V.vcpu + index));
    });
  }
  // Under its mutex too: who holds that sees the whole VM or none of it.
  vmMutex(host, vm).guard(() => mutex.guard(() => pools.vm.release(vm)));
}
