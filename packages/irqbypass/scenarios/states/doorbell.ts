import type { StateTable } from "./table.js";

/** The relay's doorbell (`src/host/pending.ts`): whether it sleeps, and how often it was rung. */
export const doorbell: StateTable = {
  name: "doorbell",
  words: ["header.doorbell"],
  keeper: "owner",
  names: { what: "count", mask: ~1, shift: 1 },
  states: {
    awake: { mask: 1, value: 0, is: "the relay looks by itself" },
    asleep: { mask: 1, value: 1, is: "the relay sleeps, or is about to: a ring wakes it" },
  },
  // biome-ignore format: a table has one row a line
  rows: [
    { from: "awake", to: "awake", who: "anyone", names: "next", does: "is rung", shown: "routing/away" },
    { from: "asleep", to: "asleep", who: "anyone", names: "next", does: "is rung, which wakes the relay", shown: "pending/raise" },
    { from: "awake", to: "asleep", who: "anyone", names: "same", does: "the relay is about to sleep", shown: "routing/injection" },
    { from: "asleep", to: "awake", who: "anyone", names: "same", does: "the relay has slept", shown: "pending/raise" },
  ],
};
