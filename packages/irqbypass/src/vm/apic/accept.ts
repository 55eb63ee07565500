/**
 * What a local APIC does with a message that reaches it, from any thread (__apic_accept_irq). Whoever may read it once more
 * after a death reads it twice with the same effect, but for an NMI.
 */
import { EVENT, KICKED, Latch, Vcpu } from "../../host/layout.js";
import type { HostMemory } from "../../host/memory.js";
import type { Words } from "../../host/words.js";
import { kick } from "../../posting/descriptor.js";
import { post } from "../../posting/fast-path.js";
import { Delivery, type Message } from "./message.js";
import { isEnabled, isPresent } from "./mode.js";

/**
 * Gives a message to a vCPU. Returns 1 where that takes it, else 0: a fixed one where its APIC is off; an SMI, since a software
 * vCPU has no such mode; and an ExtINT, which a local APIC takes from its own pin alone.
 */
export function acceptMessage(memory: HostMemory, vcpu: number, message: Message, delivery: Delivery): 0 | 1 {
  const { words } = memory;
  const { vector, level, asserted } = message;
  switch (delivery) {
    case Delivery.lowestPriority:
      words.add(vcpu + Vcpu.arbitration, 1); // its turn, whether it takes it or not
      return acceptFixed(memory, vcpu, vector, level, asserted);
    case Delivery.fixed:
      return acceptFixed(memory, vcpu, vector, level, asserted);
    case Delivery.remoteRead:
      kick(words, vcpu + Vcpu.descriptor, KICKED);
      return 1;
    case Delivery.nmi:
      words.add(vcpu + Vcpu.nmis, 1); // before EVENT, for whoever clears that looks here
      kick(words, vcpu + Vcpu.descriptor, EVENT);
      return 1;
    case Delivery.init:
      if (level && !asserted) return 0;
      words.store(vcpu + Vcpu.latch, Latch.init); // alone: a start-up from before is lost
      kick(words, vcpu + Vcpu.descriptor, EVENT);
      return 1;
    case Delivery.startUp:
      latchStartUp(words, vcpu, vector);
      kick(words, vcpu + Vcpu.descriptor, EVENT);
      return 1;
    case Delivery.smi:
    case Delivery.extInt:
      return 0;
  }
}

/** The last vector counts. */
function latchStartUp(words: Words, vcpu: number, vector: number): void {
  const latch = vcpu + Vcpu.latch;
  for (;;) {
    const seen = words.load(latch);
    const next = (seen & Latch.init) | Latch.startUp | (vector << Latch.vectorShift);
    if (words.compareExchange(latch, seen, next) === seen) return;
    words.relax();
  }
}

function acceptFixed(
  memory: HostMemory,
  vcpu: number,
  vector: number,
  level: boolean,
  asserted: boolean,
): 0 | 1 {
  const { words } = memory;
  if ((level && !asserted) || !isPresent(words, vcpu) || !isEnabled(words, vcpu)) return 0;
  markTrigger(words, vcpu, vector, level); // before the post: the vCPU may serve it at once
  post(memory, vcpu + Vcpu.descriptor, vector);
  return 1;
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
