import { Listening } from "#src/host/layout.js";
import { type StateTable, WHOLE } from "./table.js";

/** How far the eventfd of an irqfd is listened to (`src/eventfd/listen.ts`): whether its counter may be read out. */
export const listening: StateTable = {
  name: "listening of an irqfd",
  words: ["consumer.listening"],
  keeper: "owner",
  states: {
    not: {
      mask: WHOLE,
      value: Listening.not,
      is: "what is in the counter may be a signal that nobody knows of",
    },
    yes: { mask: WHOLE, value: Listening.yes, is: "what is in the counter has been an interrupt, or is due" },
    over: { mask: WHOLE, value: Listening.over, is: "it is being read out, or has been" },
  },
  // biome-ignore format: a table has one row a line
  rows: [
    { from: "not", to: "yes", who: "owner", does: "is assigned, and a count is due", shown: "signal/assign" },
    { from: "yes", to: "over", who: "anyone", does: "is deassigned, and reads it out", shown: "signal/deassign" },
    { from: "over", to: "not", who: "holder", does: "is given back", shown: "signal/deassign" },
  ],
};
