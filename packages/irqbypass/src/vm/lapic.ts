/**
 * A vCPU's local APIC, as far as interrupts need it: IRR, ISR, TPR and the priorities between them (SDM volume 3,
 * "Advanced programmable interrupt controller"). Its words belong to the thread that runs the vCPU.
 */
import { Vcpu } from "../host/layout.js";
import type { Words } from "../host/words.js";
import { isPresent } from "./apic/mode.js";

const BANKS = 8;

/** The highest vector that is requested and above the processor priority, or -1. */
export function deliverable(words: Words, vcpu: number): number {
  const requested = highest(words, vcpu + Vcpu.irr);
  return exceedsPriority(words, vcpu, requested) ? requested : -1;
}

/** Can this vector, -1 for none, be delivered now? None can while the APIC is disabled in its base register. */
export function exceedsPriority(words: Words, vcpu: number, vector: number): boolean {
  return vector >= 0 && vector >> 4 > processorPriority(words, vcpu) >> 4 && isPresent(words, vcpu);
}

/** PPR: the higher of the task priority and the class of the highest vector in service. */
export function processorPriority(words: Words, vcpu: number): number {
  const task = words.get(vcpu + Vcpu.tpr);
  const service = highest(words, vcpu + Vcpu.isr);
  return service >> 4 > task >> 4 ? service & 0xf0 : task;
}

/** Moves a vector from requested to in service. */
export function accept(words: Words, vcpu: number, vector: number): void {
  setBit(words, vcpu + Vcpu.isr, vector); // first: it is one of the two at every moment
  clearBit(words, vcpu + Vcpu.irr, vector);
}

/** The highest vector in service, or -1. */
export function inService(words: Words, vcpu: number): number {
  return highest(words, vcpu + Vcpu.isr);
}

/** Ends the service of a vector. */
export function endOfInterrupt(words: Words, vcpu: number, vector: number): void {
  clearBit(words, vcpu + Vcpu.isr, vector);
}

/** Requests everything that is in service once more: whoever served it is gone, and so is its EOI. */
export function requestAgain(words: Words, vcpu: number): void {
  for (let bank = 0; bank < BANKS; bank++) {
    const isr = vcpu + Vcpu.isr + bank;
    const irr = vcpu + Vcpu.irr + bank;
    if (words.get(isr) === 0) continue;
    words.set(irr, words.get(irr) | words.get(isr));
    words.set(isr, 0);
  }
}

/** The highest set bit of eight words, or -1. */
export function highest(words: Words, base: number): number {
  for (let bank = BANKS - 1; bank >= 0; bank--) {
    const bits = words.get(base + bank);
    if (bits !== 0) return bank * 32 + 31 - Math.clz32(bits);
  }
  return -1;
}

export function testBit(words: Words, base: number, vector: number): boolean {
  return (words.get(base + (vector >>> 5)) & (1 << (vector & 31))) !== 0;
}

function setBit(words: Words, base: number, vector: number): void {
  const word = base + (vector >>> 5);
  words.set(word, words.get(word) | (1 << (vector & 31)));
}

function clearBit(words: Words, base: number, vector: number): void {
  const word = base + (vector >>> 5);
  words.set(word, words.get(word) & ~(1 << (vector & 31)));
}
