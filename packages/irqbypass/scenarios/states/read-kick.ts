import { READ_KICKED } from "#src/host/layout.js";
import { ANY, type StateTable } from "./table.js";

const BUT_KICKED = ~READ_KICKED;

/** What whoever reads an eventfd sleeps on (`src/eventfd/signal.ts`): how often its counter changed, and whether a read is to end. */
export const readKick: StateTable = {
  name: "kick of an eventfd's readers",
  words: ["eventfd.sequence"],
  keeper: "owner",
  names: { what: "count", mask: BUT_KICKED, shift: 1 },
  states: {
    quiet: { mask: READ_KICKED, value: 0, is: "a change of the counter alone ends a read" },
    kicked: {
      mask: READ_KICKED,
      value: READ_KICKED,
      is: "one read that finds nothing ends, the next that looks",
    },
  },
  // biome-ignore format: a table has one row a line
  rows: [
    { from: "quiet", to: "quiet", who: "anyone", names: "next", does: "the counter changes", shown: "eventfd/read" },
    { from: "kicked", to: "kicked", who: "anyone", names: "next", does: "the counter changes", shown: "eventfd/kick" },
    { from: "quiet", to: "kicked", who: "anyone", names: "same", does: "a read is kicked", shown: "eventfd/kick" },
    { from: "kicked", to: "quiet", who: "anyone", names: "same", does: "a read ends by it", shown: "eventfd/kick" },
    { from: ANY, to: "quiet", who: "holder", does: "is given back", shown: "eventfd/close" },
  ],
};
