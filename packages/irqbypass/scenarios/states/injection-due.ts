import { type StateTable, WHOLE } from "./table.js";

/** Whether an injection of an irqfd is due, or which thread is at it (`src/host/pending.ts`). */
export const injectionDue: StateTable = {
  name: "injection that is due",
  words: ["consumer.pending"],
  keeper: "owner",
  names: { what: "thread", mask: ~7, shift: 0 },
  states: {
    idle: { mask: WHOLE, value: 0, is: "there is nothing to inject" },
    due: { mask: WHOLE, value: 1, is: "somebody has to inject" },
    claimed: { mask: 7, value: 0, is: "the thread of this record injects" },
  },
  // biome-ignore format: a table has one row a line
  rows: [
    { from: "idle", to: "due", who: "anyone", does: "is raised", shown: "routing/away" },
    { from: "due", to: "claimed", who: "anyone", names: "self", does: "takes it upon itself", shown: "routing/injection" },
    { from: "idle", to: "claimed", who: "anyone", names: "self", does: "looks for a signal, and takes that out", shown: "linux/written" },
    { from: "claimed", to: "idle", who: "owner", does: "has injected, or has found nothing", shown: "routing/injection" },
    { from: "claimed", to: "due", who: "anyone", does: "is raised again meanwhile, or for a dead thread", shown: "death-signal/relay" },
    { from: "due", to: "idle", who: "holder", does: "is given back, where repair made it due once more", shown: "death-signal/signal" },
  ],
};
