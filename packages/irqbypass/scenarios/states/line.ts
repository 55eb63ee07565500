import { Line } from "#src/host/layout.js";
import { ANY, type StateTable, WHOLE } from "./table.js";

/** A level-triggered line of an interrupt controller of the emulator's (`src/vm/line.ts`). */
export const line: StateTable = {
  name: "line of the emulator's own",
  words: ["consumer.line"],
  keeper: "owner",
  names: { what: "lock id", mask: ~3, shift: 2 },
  states: {
    low: { mask: WHOLE, value: Line.low, is: "the device has nothing to say" },
    high: {
      mask: WHOLE,
      value: Line.high,
      is: "it has signalled, and the guest has not ended the interrupt",
    },
    asking: {
      mask: 3,
      value: Line.asking,
      is: "let go of; the thread with this lock id is still to ask the device",
    },
  },
  // biome-ignore format: a table has one row a line
  rows: [
    { from: "low", to: "high", who: "anyone", does: "a signal raises it", shown: "line/eoi" },
    { from: "high", to: "asking", who: "anyone", names: "self", does: "the guest has ended the interrupt", shown: "line/eoi" },
    { from: "low", to: "asking", who: "anyone", names: "self", does: "the same, where another device of the vector had signalled", shown: "death-line/asksDevice" },
    { from: "asking", to: "asking", who: "anyone", names: "self", does: "the same, beside another thread, whose question is not needed any more", unused: "in the scenario the device has answered before the next interrupt is ended" },
    { from: "asking", to: "high", who: "anyone", does: "a signal raises it before the device was asked, or because it was", shown: "line/eoi" },
    { from: "asking", to: "low", who: "anyone", does: "the device was asked", shown: "line/eoi" },
    { from: "high", to: "low", who: "anyone", does: "the guest is reset", shown: "reset/line" },
    { from: ANY, to: "low", who: "holder", does: "is given back", unused: "no scenario gives an irqfd back whose line is up" },
  ],
};
