import { type StateTable, WHOLE } from "./table.js";

/** The generation of a record (`src/host/pool.ts`): by which a handle of an earlier life is told. */
export const life: StateTable = {
  name: "life of a record",
  words: ["*.generation"],
  keeper: "holder",
  names: { what: "count", mask: ~0, shift: 0 },
  states: {
    unused: { mask: WHOLE, value: 0, is: "the record was never handed out" },
    free: { mask: 1, value: 0, is: "it is in its pool's list, or on its way there" },
    live: { mask: 1, value: 1, is: "it is somebody's" },
  },
  // biome-ignore format: a table has one row a line
  rows: [
    { from: "unused", to: "free", who: "holder", does: "gets the first generation of its pool", shown: "routing/switched" },
    { from: "free", to: "live", who: "holder", names: "next", does: "handed out", shown: "routing/switched" },
    { from: "live", to: "free", who: "holder", names: "next", does: "given back", shown: "signal/unregister" },
    { from: "live", to: "free", who: "holder", names: "previous", does: "taken back before anybody has heard of it", shown: "refusals/taken" },
    { from: "live", to: "unused", who: "holder", does: "the same, and never handed out before", shown: "manager/refused" },
  ],
};
