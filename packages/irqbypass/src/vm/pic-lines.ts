/**
 * The lines of a VM's pair of 8259s, from any thread. What the pair itself does is not in all of them (`HostMemory.pics`): one that is
 * without notes what has changed, and wakes the vCPU that takes what the pair asks for; that looks.
 */
import { IrqBypassError } from "../host/errors.js";
import { type Chip, EVENT, PIC_PINS, PicDue, Vcpu, Vm, VmFlag } from "../host/layout.js";
import type { HostMemory } from "../host/memory.js";
import type { Words } from "../host/words.js";
import { kick } from "../posting/descriptor.js";
import { takesExtInt } from "./apic/mode.js";
import { vcpusOf } from "./vcpus.js";

/** Does the VM have a pair in software? */
export function hasPics(words: Words, vm: number): boolean {
  return (words.get(vm + Vm.flags) & (VmFlag.pic | VmFlag.kvm)) === VmFlag.pic;
}

/** Throws EOPNOTSUPP where this thread cannot do what a VM with these flags needs; `subject` is what it was to do it with. */
export function checkPics(memory: HostMemory, flags: number, subject: string): void {
  if (memory.pics !== undefined || (flags & (VmFlag.pic | VmFlag.kvm)) !== VmFlag.pic) return;
  throw new IrqBypassError(
    "EOPNOTSUPP",
    `${subject} has a pair of 8259s, and irqbypass/slim has not: make or attach the host with Host of irqbypass`,
  );
}

/** The lines that are up, one bit a pin, those of the second one behind those of the first. Under the VM's mutex. */
export function picLinesOf(words: Words, vm: number): number {
  return words.get(vm + Vm.picLines) | words.get(vm + Vm.picLines + 1);
}

/**
 * Sets one source of a line. Returns what KVM_IRQ_LINE_STATUS says: -1 where the pin is masked, 0 where it has a request already, 1 else; and 1 from
 * a thread that can only note it. Under the VM's mutex.
 */
export function setPicLine(
  memory: HostMemory,
  vm: number,
  pin: { readonly chip: Chip; readonly pin: number },
  source: number,
  level: boolean,
): number {
  const { words, pics } = memory;
  const bit = 1 << (pin.chip * PIC_PINS + pin.pin);
  const at = vm + Vm.picLines + source;
  const rises = level && (picLinesOf(words, vm) & bit) === 0;
  words.set(at, level ? words.get(at) | bit : words.get(at) & ~bit);
  if (pics !== undefined) return pics.follow(memory, vm, pin.chip, pin.pin);
  if (rises) notePics(memory, vm, bit);
  if (!level) notePics(memory, vm, PicDue.lines);
  return 1;
}

/** Notes what the pair is to see. Who takes what it asks for looks. */
export function notePics(memory: HostMemory, vm: number, due: number): void {
  memory.words.or(vm + Vm.picDue, due);
  wakeTaker(memory, vm); // after that: who clears what this sets looks there
}

/** The first vCPU that takes what the pair asks for, 0 for none. */
export function takerOf(memory: HostMemory, vm: number): number {
  for (const vcpu of vcpusOf(memory, vm)) if (takesExtInt(memory.words, vcpu)) return vcpu;
  return 0;
}

/** As KVM: the first one alone. */
export function wakeTaker(memory: HostMemory, vm: number): void {
  const vcpu = takerOf(memory, vm);
  if (vcpu !== 0) kick(memory.words, vcpu + Vcpu.descriptor, EVENT);
}

/** Nothing is requested, in service or up, and nothing is programmed: how a pair comes out of reset. Under the VM's mutex. */
export function resetPics({ words }: HostMemory, vm: number): void {
  for (let word = vm + Vm.pics; word < vm + Vm.picLinesEnd; word++) words.set(word, 0);
  for (const word of [Vm.picDue, Vm.picOutput, Vm.picServer]) words.store(vm + word, 0);
}

/** The thread of a vCPU has died: what that served of the pair is requested once more. */
export function servePicsAgain(memory: HostMemory, vcpu: number): void {
  const { words } = memory;
  const vm = words.get(vcpu + Vcpu.vm);
  if (words.compareExchange(vm + Vm.picServer, vcpu, 0) === vcpu) notePics(memory, vm, PicDue.service);
}
