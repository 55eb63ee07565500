/** Faults of a software VM, each in one of the things that a comparison with a kernel is to hold. */
import { override } from "atomics-explorer";
import { Consumer, IOAPIC_PINS, Pic, Producer, Vcpu as V, Vm, VmFlag } from "#src/host/layout.js";
import type { Pool } from "#src/host/pool.js";
import type { Words } from "#src/host/words.js";
import { Entry } from "#src/vm/redirection.js";
import type { Plant, Subject } from "./compare.js";
import type { SoftwareSide } from "./software-side.js";

/** The software side with other words. */
const playing =
  (change: (words: Words, side: SoftwareSide) => Partial<Words>): Plant =>
  (side) => {
    const host: { words: Words } = side.host;
    host.words = override(host.words, change(host.words, side));
  };

const vmOf = (words: Words, side: SoftwareSide) => words.get(side.vcpus[0]!.record + V.vm);

/** Is it one of so many words of a vCPU from this one on? */
const isOf = (side: SoftwareSide, word: number, first: V, count = 1) =>
  side.vcpus.some(({ record }) => word >= record + first && word < record + first + count);

/** Is it that word of a record of a pool? */
const isIn = ({ base, stride, capacity }: Pool, word: number, field: number) =>
  word >= base && word < base + stride * capacity && (word - base) % stride === field;
const isEntry = ({ host }: SoftwareSide, word: number) => isIn(host.pools.producer, word, Producer.irte);
const isTarget = ({ host }: SoftwareSide, word: number) => isIn(host.pools.consumer, word, Consumer.target);

export const PLANTS: Readonly<Record<string, { readonly subject: Subject; readonly plant: Plant }>> = {
  "arbitration goes round instead of by the vector": {
    subject: "messages",
    plant: playing((words, side) => ({
      get(word) {
        const isFlags = word === vmOf(words, side) + Vm.flags;
        return isFlags ? words.get(word) | VmFlag.noVectorHashing : words.get(word);
      },
    })),
  },
  "TMR is never set": {
    subject: "messages",
    plant: playing((words, side) => ({
      or: (word, value) => (isOf(side, word, V.tmr, 8) ? 0 : words.or(word, value)),
    })),
  },
  "an LDR is read one bit to the left": {
    subject: "messages",
    plant: playing((words, side) => ({
      load: (word) => (isOf(side, word, V.ldr) ? words.load(word) << 1 : words.load(word)),
    })),
  },
  "an EOI leaves remote IRR where it is": {
    subject: "chips",
    plant: playing((words, side) => ({
      set(word, value) {
        const first = vmOf(words, side) + Vm.ioapic;
        const isLow = word >= first && word < first + 2 * IOAPIC_PINS && (word - first) % 2 === 0;
        const ends =
          isLow && (value & Entry.level) !== 0 && (words.get(word) & ~value & Entry.remoteIrr) !== 0;
        words.set(word, ends ? value | Entry.remoteIrr : value);
      },
    })),
  },
  "an 8259 does not rotate its priorities": {
    subject: "chips",
    plant: playing((words, side) => ({
      set(word, value) {
        const pics = vmOf(words, side) + Vm.pics;
        const isHighest = word === pics + Pic.highest || word === pics + Pic.words + Pic.highest;
        words.set(word, isHighest ? 0 : value);
      },
    })),
  },
  "an EOI ends nothing": {
    subject: "registers",
    plant: playing((words, side) => ({
      set(word, value) {
        const ends = isOf(side, word, V.isr, 8) && (words.get(word) & ~value) !== 0;
        if (!ends) words.set(word, value);
      },
    })),
  },
  "what a register changes re-targets no device": {
    subject: "irqfds",
    plant: playing((words, side) => ({
      exchange: (word, value) => (isEntry(side, word) ? value : words.exchange(word, value)),
    })),
  },
  "a route that is led elsewhere leaves its irqfds where they were": {
    subject: "irqfds",
    plant: playing((words, side) => ({
      store(word, value) {
        if (!isTarget(side, word) || words.load(word) === 0) words.store(word, value);
      },
    })),
  },
};
