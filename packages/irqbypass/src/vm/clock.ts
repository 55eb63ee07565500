/**
 * The clock's pin of an I/O APIC (RTC): user space that asks what came of its line learns by 0 that somebody has not ended the last
 * interrupt, so that no tick is lost (rtc_irq_check_coalesced). Under the VM's mutex.
 */
import { Vcpu, Vm } from "../host/layout.js";
import type { HostMemory } from "../host/memory.js";
import type { Words } from "../host/words.js";
import { Delivery, type Message } from "./apic/message.js";
import { deliver } from "./delivery.js";
import { vcpusOf } from "./vcpus.js";

/** Its pin. KVM hears of its EOIs whatever its trigger is. */
export const CLOCK_PIN = 8;

/** Has a vCPU not ended the last one? */
export function isClockPending(words: Words, vm: number): boolean {
  return words.get(vm + Vm.clockEois) > 0;
}

/** Delivers one, which each that takes it is to end. Returns what {@link deliver} does. */
export function deliverClock(memory: HostMemory, vm: number, message: Message): number {
  const { words } = memory;
  const status = deliver(memory, vm, message, (vcpu, delivery) => {
    const isFixed = delivery === Delivery.fixed || delivery === Delivery.lowestPriority;
    if (isFixed) words.store(vcpu + Vcpu.clock, message.vector + 1);
  });
  words.set(vm + Vm.clockEois, Math.max(status, 0));
  return status;
}

/** The EOI of a vector on a vCPU. Returns whether it ended one (rtc_irq_eoi). */
export function endClock({ words }: HostMemory, vm: number, vcpu: number, vector: number): boolean {
  if (words.load(vcpu + Vcpu.clock) !== vector + 1) return false;
  words.store(vcpu + Vcpu.clock, 0);
  words.set(vm + Vm.clockEois, Math.max(words.get(vm + Vm.clockEois) - 1, 0));
  return true;
}

/** Makes the count anew of those that are to end one: a thread may have died before it counted. */
export function healClock(memory: HostMemory, vm: number): void {
  const { words } = memory;
  let count = 0;
  for (const vcpu of vcpusOf(memory, vm)) if (words.load(vcpu + Vcpu.clock) !== 0) count++;
  words.set(vm + Vm.clockEois, count);
}
