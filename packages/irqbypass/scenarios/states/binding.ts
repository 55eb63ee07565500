import { LEAVING } from "#src/host/layout.js";
import { type StateTable, WHOLE } from "./table.js";

/** The irqfd that an eventfd is bound to (`src/vm/assignment.ts`), and whether writers still see it. */
export const binding: StateTable = {
  name: "binding of an eventfd",
  words: ["eventfd.irqfd"],
  keeper: "owner",
  names: { what: "irqfd", mask: ~LEAVING, shift: 0 },
  states: {
    free: { mask: WHOLE, value: 0, is: "no irqfd listens: an assign takes it" },
    bound: { mask: LEAVING, value: 0, is: "writers make this irqfd pending" },
    leaving: { mask: LEAVING, value: LEAVING, is: "writers see none, and no other can be assigned yet" },
  },
  // biome-ignore format: a table has one row a line
  rows: [
    { from: "free", to: "bound", who: "anyone", does: "is assigned", shown: "connect/connect" },
    { from: "bound", to: "leaving", who: "owner", names: "same", does: "is deassigned", shown: "signal/deassign" },
    { from: "leaving", to: "free", who: "owner", does: "is through", shown: "signal/deassign" },
  ],
};
