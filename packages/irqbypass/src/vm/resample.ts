/**
 * Level-triggered irqfds: their line stays up until the guest's EOI, which lets go of it and asks every device of the
 * GSI, by its resample eventfd, whether it still has something to say (irqfd_resampler_ack).
 */
import { addReference, dropReference } from "../eventfd/reference.js";
import { signalRecord } from "../eventfd/signal.js";
import { Consumer, Reference, Role, Vm, VmFlag } from "../host/layout.js";
import type { HostMemory } from "../host/memory.js";
import { endOfPin, pinsOf, Source, serviceAfterUnmask, writeRegister } from "./ioapic.js";
import { gsiOfPin, setGsi } from "./routing.js";
import { type VmLife, vmMutex } from "./vm-mutex.js";

/** Adds a level-triggered irqfd to those that are asked. Under the VM's mutex. */
export function addResampler({ words }: HostMemory, vm: number, irqfd: number): void {
  words.store(irqfd + Consumer.nextResampler, words.load(vm + Vm.resamplers));
  words.store(vm + Vm.resamplers, irqfd);
}

/** The mirror image; when the last one of a GSI goes, its line drops. Under the VM's mutex. */
export function removeResampler(memory: HostMemory, vm: number, irqfd: number): void {
  const { words } = memory;
  const gsi = words.get(irqfd + Consumer.gsi);
  let link = vm + Vm.resamplers;
  let others = false;
  for (let one = words.load(link); one !== 0; one = words.load(link)) {
    if (one === irqfd) {
      words.store(link, words.load(irqfd + Consumer.nextResampler));
      continue;
    }
    if (words.get(one + Consumer.gsi) === gsi) others = true;
    link = one + Consumer.nextResampler;
  }
  const isKvms = (words.get(vm + Vm.flags) & VmFlag.kvm) !== 0; // KVM has its lines
  if (!others && !isKvms) setGsi(memory, vm, gsi, Source.resample, false);
}

/**
 * The EOI of a vector: on each pin that it acknowledges, the irqfds let go of the line and their resample eventfds are
 * signalled, also where the guest has programmed the pin as an edge. Takes the VM's mutex; the signals come after it.
 * Without level-triggered irqfds an EOI of an edge is nobody's business, and costs one load here.
 */
export function acknowledge(memory: HostMemory, vm: number, vector: number, level: boolean): void {
  if (!level && memory.words.load(vm + Vm.resamplers) === 0) return;
  const asked: number[] = [];
  vmMutex(memory, vm).guard(() => {
    for (const pin of pinsOf(memory, vm, vector)) {
      for (const irqfd of resamplersOf(memory, vm, pin)) {
        setGsi(memory, vm, memory.words.get(irqfd + Consumer.gsi), Source.resample, false);
        ask(memory, irqfd, asked);
      }
      if (level) endOfPin(memory, vm, pin);
    }
  });
  signalAll(memory, asked);
}

/**
 * Writes an I/O APIC register. Unmasking a level-triggered pin that is asserted asks its resample irqfds first: the guest
 * may have acknowledged the device while the pin was masked, and then the line is up no more (fef8f2b90edb).
 */
export function writeIoapic(life: VmLife, register: number, value: number): void {
  const { memory, record: vm } = life;
  const asked: number[] = [];
  life.guard(() => {
    const pin = writeRegister(memory, vm, register, value);
    if (pin === undefined) return;
    for (const irqfd of resamplersOf(memory, vm, pin)) ask(memory, irqfd, asked);
    serviceAfterUnmask(memory, vm, pin, asked.length > 0);
  });
  signalAll(memory, asked);
}

/** Remembers an irqfd's resample eventfd, and keeps it alive until it has been signalled. */
function ask(memory: HostMemory, irqfd: number, asked: number[]): void {
  const eventfd = memory.words.get(irqfd + Consumer.resample);
  asked.push(memory.mutex.guard(() => addReference(memory, eventfd, Role.hold)));
}

/** Not under a mutex: a Linux eventfd takes a system call. */
function signalAll(memory: HostMemory, asked: readonly number[]): void {
  for (const reference of asked) {
    signalRecord(memory, memory.words.get(reference + Reference.eventfd));
    dropReference(memory, reference);
  }
}

/** The level-triggered irqfds of the GSI that leads to this pin (kvm_notify_acked_irq). */
function resamplersOf(memory: HostMemory, vm: number, pin: number): number[] {
  const { words } = memory;
  const gsi = gsiOfPin(memory, vm, pin);
  const found: number[] = [];
  if (gsi < 0) return found; // GSI 2^32-1 is -1 as a word, and leads nowhere
  for (let one = words.load(vm + Vm.resamplers); one !== 0; one = words.load(one + Consumer.nextResampler)) {
    if (words.get(one + Consumer.gsi) === gsi) found.push(one);
  }
  return found;
}
