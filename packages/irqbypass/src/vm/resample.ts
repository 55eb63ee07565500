/**
 * Level-triggered irqfds: their line stays up until the guest's EOI, which lets go of it and asks every device of the
 * GSI, by its resample eventfd, whether it still has something to say (irqfd_resampler_ack).
 */
import { addReference, dropReference } from "../eventfd/reference.js";
import { signalRecord } from "../eventfd/signal.js";
import { Chip, Consumer, Reference, Role, Vcpu, Vm, VmFlag } from "../host/layout.js";
import type { HostMemory } from "../host/memory.js";
import { endClock } from "./clock.js";
import { endOfPin, pinsOf, Source, serviceAfterWrite, writeRegister } from "./ioapic.js";
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
 * Without level-triggered irqfds an EOI of an edge that is not the clock's is nobody's business, and costs two loads here.
 */
export function acknowledge(
  memory: HostMemory,
  vm: number,
  vcpu: number,
  vector: number,
  level: boolean,
): void {
  const { words } = memory;
  if (!level && words.load(vm + Vm.resamplers) === 0 && words.load(vcpu + Vcpu.clock) === 0) return;
  const guard = <T>(section: () => T) => vmMutex(memory, vm).guard(section);
  const hears = (pin: number) => resamplersOf(memory, vm, Chip.ioapic, pin).length > 0;
  asking(memory, guard, (asked) => {
    const before = endClock(memory, vm, vcpu, vector);
    for (const pin of pinsOf(memory, vm, vector, before, hears)) {
      endOfService(memory, vm, Chip.ioapic, pin, asked);
      if (level) endOfPin(memory, vm, pin);
    }
  });
}

/**
 * The service of a pin has ended: its level-triggered irqfds let go of the line, and their devices are to be asked. Under the VM's mutex.
 */
export function endOfService(memory: HostMemory, vm: number, chip: Chip, pin: number, asked: number[]): void {
  for (const irqfd of resamplersOf(memory, vm, chip, pin)) {
    setGsi(memory, vm, memory.words.get(irqfd + Consumer.gsi), Source.resample, false);
    ask(memory, irqfd, asked);
  }
}

/** Runs a section under a mutex, in which devices to be asked are noted, and asks them after it. */
export function asking<T>(
  memory: HostMemory,
  guard: (section: () => T) => T,
  section: (asked: number[]) => T,
): T {
  const asked: number[] = [];
  const result = guard(() => section(asked));
  signalAll(memory, asked);
  return result;
}

/**
 * Writes an I/O APIC register. Unmasking a level-triggered pin that is asserted asks its resample irqfds first: the guest
 * may have acknowledged the device while the pin was masked, and then the line is up no more (fef8f2b90edb).
 */
export function writeIoapic(life: VmLife, register: number, value: number): void {
  const { memory, record: vm } = life;
  asking(
    memory,
    (section: () => void) => life.guard(section),
    (asked) => {
      const pin = writeRegister(memory, vm, register, value);
      if (pin === undefined) return;
      for (const irqfd of resamplersOf(memory, vm, Chip.ioapic, pin)) ask(memory, irqfd, asked);
      serviceAfterWrite(memory, vm, pin, asked.length > 0);
    },
  );
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
function resamplersOf(memory: HostMemory, vm: number, chip: Chip, pin: number): number[] {
  const { words } = memory;
  const gsi = gsiOfPin(memory, vm, chip, pin);
  const found: number[] = [];
  if (gsi < 0) return found; // GSI 2^32-1 is -1 as a word, and leads nowhere
  for (let one = words.load(vm + Vm.resamplers); one !== 0; one = words.load(one + Consumer.nextResampler)) {
    if (words.get(one + Consumer.gsi) === gsi) found.push(one);
  }
  return found;
}
