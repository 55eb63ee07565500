import { READ_KICKED, READER_SLEEPS } from "#src/host/layout.js";
import { ANY, type StateTable } from "./table.js";

const BITS = READ_KICKED | READER_SLEEPS;

/**
 * What whoever reads an eventfd sleeps on (`src/eventfd/signal.ts`): how often its counter changed, whether a read is to end, and
 * whether somebody may sleep.
 */
export const sequence: StateTable = {
  name: "sequence of an eventfd",
  words: ["eventfd.sequence"],
  keeper: "owner",
  names: { what: "count", mask: ~BITS, shift: 2 },
  states: {
    quiet: { mask: BITS, value: 0, is: "nobody sleeps" },
    asleep: { mask: BITS, value: READER_SLEEPS, is: "somebody may sleep on this value" },
    kicked: { mask: BITS, value: READ_KICKED, is: "one read that finds nothing ends, the next that looks" },
    "kicked, asleep": { mask: BITS, value: BITS, is: "both: what was kicked is not the only one who sleeps" },
  },
  // biome-ignore format: a table has one row a line
  rows: [
    { from: "quiet", to: "quiet", who: "anyone", names: "next", does: "the counter changes", shown: "eventfd/read" },
    { from: "asleep", to: "asleep", who: "anyone", names: "next", does: "the counter changes", shown: "eventfd/read" },
    { from: "kicked", to: "kicked", who: "anyone", names: "next", does: "the counter changes", shown: "eventfd/kick" },
    { from: "kicked, asleep", to: "kicked, asleep", who: "anyone", names: "next", does: "the counter changes", shown: "eventfd/kick" },
    { from: "quiet", to: "asleep", who: "anyone", names: "same", does: "a reader is about to sleep", shown: "eventfd/read" },
    { from: "kicked", to: "kicked, asleep", who: "anyone", names: "same", does: "one whom no kick ends is about to sleep", unused: "who listens for a device runs on an event loop, and no scenario kicks beside it" },
    { from: "asleep", to: "quiet", who: "anyone", names: "same", does: "is about to wake all", shown: "eventfd/read" },
    { from: "kicked, asleep", to: "kicked", who: "anyone", names: "same", does: "is about to wake all", shown: "eventfd/kick" },
    { from: "quiet", to: "kicked", who: "anyone", names: "same", does: "a read is kicked", shown: "eventfd/kick" },
    { from: "asleep", to: "kicked, asleep", who: "anyone", names: "same", does: "a read is kicked", shown: "eventfd/kick" },
    { from: "kicked", to: "quiet", who: "anyone", names: "same", does: "a read ends by it", shown: "eventfd/kick" },
    { from: "kicked, asleep", to: "asleep", who: "anyone", names: "same", does: "a read ends by it", shown: "eventfd/kick" },
    { from: ANY, to: "quiet", who: "holder", does: "is given back", shown: "eventfd/close" },
  ],
};
