import { EVENT, KICKED } from "#src/host/layout.js";
import { ANY, type StateTable, WHOLE } from "./table.js";

/** The rest of the control word of an interrupt file: what ends its owner's wait but an interrupt. */
export const controlKicks: StateTable = {
  name: "kicks of the control word",
  words: ["vcpu.control", "file.control"],
  bits: KICKED | EVENT,
  keeper: "runner",
  states: {
    quiet: { mask: WHOLE, value: 0, is: "an interrupt alone ends the wait" },
    kicked: { mask: WHOLE, value: KICKED, is: "a kick does, once" },
    event: { mask: WHOLE, value: EVENT, is: "there is something to see in the vCPU's own word" },
    "kicked, event": { mask: WHOLE, value: KICKED | EVENT, is: "both" },
  },
  // biome-ignore format: a table has one row a line
  rows: [
    { from: "quiet", to: "kicked", who: "anyone", does: "is kicked", shown: "posting/kick" },
    { from: "event", to: "kicked, event", who: "anyone", does: "is kicked", shown: "posting/nmi" },
    { from: "quiet", to: "event", who: "anyone", does: "gets an NMI", shown: "posting/nmi" },
    { from: "kicked", to: "kicked, event", who: "anyone", does: "gets an NMI", shown: "posting/nmi" },
    { from: "kicked", to: "quiet", who: "runner", does: "takes the kick", shown: "posting/kick" },
    { from: "event", to: "quiet", who: "runner", does: "is about to look at its own word", shown: "posting/nmi" },
    { from: "kicked, event", to: "kicked", who: "runner", does: "is about to look at its own word", shown: "posting/nmi" },
    { from: "kicked, event", to: "event", who: "runner", does: "takes the kick: it looked before the NMI", shown: "posting/nmi" },
    { from: ANY, to: "quiet", who: "holder", does: "is given back with its VM", shown: "death/machine" },
  ],
};
