/** A guest's reset: what hardware forgets is forgotten, and what the VMM has wired stays. */
import type { BypassHost } from "../bypass/bypass-host.js";
import { announceChange } from "../bypass/changes.js";
import { IrqBypassError } from "../host/errors.js";
import { Consumer, Descriptor, EVENT, Line, ON, PIR_WORDS, Vcpu, Vm, VmFlag } from "../host/layout.js";
import { takeKick } from "../posting/descriptor.js";
import { settleApics } from "./apic/change.js";
import { begin } from "./apic/power-on.js";
import { reset as resetIoapic } from "./ioapic.js";
import { irqfdsOf } from "./irqfd-list.js";
import { isOwnLine } from "./line.js";
import { hasPics, resetPics } from "./pic-lines.js";
import { deliverWaiting, retargetAll } from "./reroute.js";
import { vcpusOf } from "./vcpus.js";
import type { VmLife } from "./vm-mutex.js";

/**
 * Resets the local APICs, the I/O APIC and the 8259s of a VM, with every line down. Throws EBUSY, with nothing changed, while another thread runs
 * one of its vCPUs. What was signalled before does not come after it: in the kernel the write itself has requested it of a local APIC, or
 * has raised its line, and here it may wait for a relay still. Not under a mutex.
 */
export function resetVm(host: BypassHost, life: VmLife): void {
  const { words, mutex, thread } = host;
  const { record: vm } = life;
  deliverWaiting(host, life, () => irqfdsOf(host, vm));
  thread.quiesce(); // a relay that is at an earlier signal than the last of its irqfd
  const reset = () => {
    life.check();
    // Nobody begins to run one while the host mutex is held.
    for (const vcpu of vcpusOf(host, vm)) refuseIfRunning(host, life, vcpu);
    words.add(vm + Vm.apics, 1); // an IPI looks here again, as where a register changes
    for (const vcpu of vcpusOf(host, vm)) resetVcpu(host, vcpu);
    settleApics(host, vm);
    if ((words.get(vm + Vm.flags) & VmFlag.bare) === 0) resetIoapic(host, vm);
    if (hasPics(words, vm)) resetPics(host, vm);
    for (const irqfd of irqfdsOf(host, vm))
      if (isOwnLine(words, irqfd)) words.store(irqfd + Consumer.line, Line.low);
  };
  const changed = life.mutex.enclose(() => {
    mutex.guard(reset);
    return retargetAll(host, vm);
  });
  if (!changed) return;
  thread.quiesce(); // not under a mutex: what is under way may need it to finish
  announceChange(words);
}

function refuseIfRunning({ words, thread }: BypassHost, life: VmLife, vcpu: number): void {
  const runner = words.load(vcpu + Vcpu.runner);
  if (runner === 0 || thread.isMine(runner)) return;
  const name = `vCPU ${words.get(vcpu + Vcpu.index)} of VM ${life.id}`;
  throw new IrqBypassError("EBUSY", `${name} runs on another thread: put it there before the reset`, {
    subject: name,
  });
}

/**
 * Nothing is posted, requested or in service, no NMI, INIT or start-up is due, and the local APIC is as that of a new VM; a kick is the
 * VMM's own, and stays.
 */
function resetVcpu({ words }: BypassHost, vcpu: number): void {
  const file = vcpu + Vcpu.descriptor;
  words.and(file + Descriptor.control, ~ON); // before PIR: what is posted after that was read sets it again
  for (let bank = 0; bank < PIR_WORDS; bank++) {
    words.store(file + Descriptor.pir + bank, 0);
    words.set(vcpu + Vcpu.irr + bank, 0);
    words.set(vcpu + Vcpu.isr + bank, 0);
    words.store(vcpu + Vcpu.tmr + bank, 0);
  }
  words.set(vcpu + Vcpu.tpr, 0);
  takeKick(words, file, EVENT); // before the look at what is due: an event from here on sets it again
  for (const word of [Vcpu.nmis, Vcpu.latch, Vcpu.arbitration, Vcpu.esr, Vcpu.initialCount, Vcpu.divide])
    words.store(vcpu + word, 0);
  for (const word of [Vcpu.icr, Vcpu.icrHigh, Vcpu.icr2, Vcpu.clock]) words.store(vcpu + word, 0);
  for (const word of [Vcpu.pendingNmis, Vcpu.untold, Vcpu.state, Vcpu.baseHigh]) words.set(vcpu + word, 0);
  begin(words, vcpu, words.get(vcpu + Vcpu.id));
}
