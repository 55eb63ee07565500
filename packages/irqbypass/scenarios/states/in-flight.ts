import { WAITED } from "#src/host/layout.js";
import { type StateTable, WHOLE } from "./table.js";

/** The in-flight words of a thread: what it is in the middle of, and whether a fence waits for that. */
export const inFlight: StateTable = {
  name: "in-flight word",
  words: ["thread.signalling", "thread.writing"],
  keeper: "owner",
  names: { what: "reference", mask: ~WAITED, shift: 0 },
  states: {
    idle: { mask: WHOLE, value: 0, is: "the thread is in the middle of nothing" },
    busy: { mask: WAITED, value: 0, is: "it is in the middle of what the reference names" },
    awaited: { mask: WAITED, value: WAITED, is: "and a fence waits for it: leaving wakes that" },
  },
  // biome-ignore format: a table has one row a line
  rows: [
    { from: "idle", to: "busy", who: "owner", does: "announces what it is about to use", shown: "signal/unregister" },
    { from: "busy", to: "awaited", who: "anyone", names: "same", does: "a fence says that it is about to sleep", shown: "fence/waiters" },
    { from: "busy", to: "idle", who: "owner", does: "is through", shown: "signal/unregister" },
    { from: "awaited", to: "idle", who: "owner", does: "is through, and wakes the fences", shown: "fence/waiters" },
    { from: "busy", to: "idle", who: "repairer", does: "leaves for a dead thread", shown: "death-signal/signal" },
    { from: "awaited", to: "idle", who: "repairer", does: "leaves for a dead thread, and wakes the fences", shown: "death-signal/signal" },
  ],
};
