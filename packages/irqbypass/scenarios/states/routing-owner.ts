import { IN_USE } from "#src/host/layout.js";
import { type StateTable, WHOLE } from "./table.js";

const LONG =
  "To give a table back for a dead thread takes 4,144 accesses: the explorer takes that for a thread without an end.";

/** Whose a routing table is while nobody goes by it (`src/vm/routing.ts`). */
export const routingOwner: StateTable = {
  name: "owner of a routing table",
  words: ["routing.owner"],
  keeper: "owner",
  names: { what: "thread", mask: ~7, shift: 0 },
  states: {
    none: { mask: WHOLE, value: 0, is: "it is half made" },
    "in use": { mask: WHOLE, value: IN_USE, is: "a VM or the host goes by it" },
    owned: { mask: 7, value: 0, is: "the thread of this record builds or frees it" },
  },
  // biome-ignore format: a table has one row a line
  rows: [
    { from: "none", to: "owned", who: "anyone", names: "self", does: "is built", shown: "signal/reroute" },
    { from: "owned", to: "in use", who: "owner", does: "a VM goes by it from now on", shown: "signal/reroute" },
    { from: "in use", to: "owned", who: "anyone", names: "self", does: "a VM does not go by it any more: it is to be freed", shown: "signal/reroute" },
    { from: "owned", to: "none", who: "owner", does: "is given back", shown: "signal/reroute" },
    { from: "owned", to: "in use", who: "repairer", does: "a VM goes by it already", unused: LONG },
    { from: "in use", to: "none", who: "holder", does: "is given back for a dead thread", unused: LONG },
  ],
};
