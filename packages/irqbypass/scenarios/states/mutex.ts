import { type StateTable, WHOLE } from "./table.js";

/** The word of a mutex (`src/host/mutex.ts`): who has it, and whether anybody sleeps for it. */
export const mutex: StateTable = {
  name: "mutex",
  words: ["header.mutex", "header.repair", "vm.mutex"],
  keeper: "holder",
  names: { what: "lock id", mask: ~1, shift: 1 },
  states: {
    free: { mask: WHOLE, value: 0, is: "nobody has it" },
    held: { mask: 1, value: 0, is: "the thread with this lock id has it, and nobody sleeps" },
    awaited: { mask: 1, value: 1, is: "that thread has it, and others may sleep: its unlock wakes one" },
  },
  // biome-ignore format: a table has one row a line
  rows: [
    { from: "free", to: "held", who: "anyone", names: "self", does: "takes it", shown: "mutex/exclusion" },
    { from: "free", to: "awaited", who: "anyone", names: "self", does: "takes it after a sleep: others may still sleep", shown: "mutex/handover" },
    { from: "held", to: "awaited", who: "anyone", names: "same", does: "says that it is about to sleep", shown: "mutex/exclusion" },
    { from: "held", to: "free", who: "holder", does: "gives it back", shown: "mutex/exclusion" },
    { from: "awaited", to: "free", who: "holder", does: "gives it back, and wakes one", shown: "mutex/exclusion" },
    { from: "held", to: "awaited", who: "repairer", names: "self", does: "takes it over from a dead thread", shown: "mutex/recovery" },
    { from: "awaited", to: "awaited", who: "repairer", names: "self", does: "takes it over from a dead thread for which others sleep", shown: "mutex/death" },
  ],
};
