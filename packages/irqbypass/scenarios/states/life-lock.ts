import { LifeLock } from "#src/host/layout.js";
import { type StateTable, WHOLE } from "./table.js";

const STATE = (1 << LifeLock.bits) - 1;
const NO_LOCKS = "The platform of the scenarios knows its threads by name, and has no locks.";

/** What is known of the lock that a thread has for its life. */
export const lifeLock: StateTable = {
  name: "life lock",
  words: ["thread.lock"],
  keeper: "owner",
  names: { what: "count", mask: ~STATE, shift: LifeLock.bits },
  states: {
    none: { mask: WHOLE, value: LifeLock.none, is: "it has asked for none" },
    asked: {
      mask: STATE,
      value: LifeLock.asked,
      is: "the thread of this life of the record has asked for it",
    },
    held: {
      mask: STATE,
      value: LifeLock.held,
      is: "that thread has it, and nobody else gets it before its end",
    },
  },
  // biome-ignore format: a table has one row a line
  rows: [
    { from: "none", to: "asked", who: "owner", does: "attaches", unused: NO_LOCKS },
    { from: "asked", to: "held", who: "anyone", names: "same", does: "says that it has it, or has seen it", unused: NO_LOCKS },
    { from: "asked", to: "none", who: "owner", does: "detaches", unused: NO_LOCKS },
    { from: "held", to: "none", who: "owner", does: "detaches", unused: NO_LOCKS },
    { from: "asked", to: "none", who: "repairer", does: "gives its record back", unused: NO_LOCKS },
    { from: "held", to: "none", who: "repairer", does: "gives its record back", unused: NO_LOCKS },
  ],
};
