/**
 * Delivery of an interrupt message to the local APICs of a software VM, from any thread.
 */
import { EVENT, NMI, Vcpu, Vm } from "../host/layout.js";
import type { HostMemory } from "../host/memory.js";
import type { Words } from "../host/words.js";
import { kick } from "../posting/descriptor.js";
import { post } from "../posting/fast-path.js";
import type { Reason } from "../posting/reason.js";

/** Delivery modes of an interrupt message. */
export const enum Delivery {
  fixed = 0,
  lowestPriority = 1,
  smi = 2,
  nmi = 4,
  init = 5,
  extInt = 7,
}

/** An interrupt message, decoded. */
export interface Message {
  readonly vector: number;
  readonly delivery: Delivery;
  /** Logical destination mode: `destination` is a mask. */
  readonly logical: boolean;
  readonly destination: number;
}

/**
 * Delivers to every vCPU that matches, and to the first one alone where the mode is lowest priority. Returns why nobody took
 * it, undefined where one did. An NMI ends the vCPU's wait with "nmi"; SMI, INIT and ExtINT mean nothing to a software vCPU
 * and are dropped.
 */
export function deliver(
  memory: HostMemory,
  vm: number,
  message: Message,
  level: boolean,
): Reason | undefined {
  const { words } = memory;
  const { delivery, vector } = message;
  let missed: Reason | undefined = "no-vcpu";
  for (const vcpu of vcpusOf(memory, vm)) {
    if (!matches(message, words.get(vcpu + Vcpu.index))) continue;
    if (delivery === Delivery.nmi) {
      words.or(vcpu + Vcpu.events, NMI); // before EVENT, for whoever clears that looks here
      kick(words, vcpu + Vcpu.descriptor, EVENT);
    } else if (delivery === Delivery.fixed || delivery === Delivery.lowestPriority) {
      markTrigger(words, vcpu, vector, level); // before the post: the vCPU may serve it at once
      post(memory, vcpu + Vcpu.descriptor, vector);
    } else {
      return "delivery-mode";
    }
    missed = undefined;
    if (delivery === Delivery.lowestPriority) break;
  }
  return missed;
}

/** Does a message reach the vCPU with this APIC id? All ones in either width is a broadcast. */
export function matches({ logical, destination }: Message, apicId: number): boolean {
  if (destination === 0xff || destination >>> 0 === 0xffffffff) return true;
  return logical ? apicId < 8 && (destination & (1 << apicId)) !== 0 : destination === apicId;
}

/** The vCPU records of a VM, by APIC id. */
export function* vcpusOf({ words }: HostMemory, vm: number): Generator<number> {
  const count = words.get(vm + Vm.vcpus);
  for (let index = 0; index < count; index++) yield words.get(vm + Vm.vcpu + index);
}

/** Was the vector's last delivery level-triggered? Then its EOI goes to the I/O APIC. */
export function isLevel(words: Words, vcpu: number, vector: number): boolean {
  return (words.load(vcpu + Vcpu.tmr + (vector >>> 5)) & (1 << (vector & 31))) !== 0;
}

/** Notes how a vector is about to be delivered. What a device posts by itself leaves this alone, as hardware does. */
export function markTrigger(words: Words, vcpu: number, vector: number, level: boolean): void {
  const word = vcpu + Vcpu.tmr + (vector >>> 5);
  const bit = 1 << (vector & 31);
  if (((words.load(word) & bit) !== 0) === level) return;
  if (level) words.or(word, bit);
  else words.and(word, ~bit);
}
