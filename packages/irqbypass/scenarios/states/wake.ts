import { KICKED, NMI } from "#src/posting/descriptor.js";
import { ANY, type StateTable } from "./table.js";

const BITS = KICKED | NMI;

/** The wake word of a vCPU (`src/posting/descriptor.ts`): what ends its wait but an interrupt, and how often it was woken. */
export const wake: StateTable = {
  name: "wake word",
  words: ["vcpu.wake"],
  keeper: "runner",
  names: { what: "count", mask: ~BITS, shift: 2 },
  states: {
    quiet: { mask: BITS, value: 0, is: "an interrupt alone ends the wait" },
    kicked: { mask: BITS, value: KICKED, is: "a kick does, once" },
    nmi: { mask: BITS, value: NMI, is: "an NMI does, once" },
    "kicked, nmi": { mask: BITS, value: BITS, is: "both" },
  },
  // biome-ignore format: a table has one row a line
  rows: [
    { from: "quiet", to: "quiet", who: "anyone", names: "next", does: "is woken", shown: "posting/halt" },
    { from: "kicked", to: "kicked", who: "anyone", names: "next", does: "is woken", shown: "posting/nmi" },
    { from: "nmi", to: "nmi", who: "anyone", names: "next", does: "is woken", shown: "posting/nmi" },
    { from: "kicked, nmi", to: "kicked, nmi", who: "anyone", names: "next", does: "is woken", shown: "posting/nmi" },
    { from: "quiet", to: "kicked", who: "anyone", names: "same", does: "is kicked", shown: "posting/kick" },
    { from: "nmi", to: "kicked, nmi", who: "anyone", names: "same", does: "is kicked", shown: "posting/nmi" },
    { from: "quiet", to: "nmi", who: "anyone", names: "same", does: "gets an NMI", shown: "posting/nmi" },
    { from: "kicked", to: "kicked, nmi", who: "anyone", names: "same", does: "gets an NMI", shown: "posting/nmi" },
    { from: "kicked", to: "quiet", who: "runner", names: "same", does: "takes the kick", shown: "posting/kick" },
    { from: "nmi", to: "quiet", who: "runner", names: "same", does: "takes the NMI", shown: "posting/nmi" },
    { from: "kicked, nmi", to: "kicked", who: "runner", names: "same", does: "takes the NMI first", shown: "posting/nmi" },
    { from: "kicked, nmi", to: "nmi", who: "runner", names: "same", does: "takes the kick: it looked before the NMI", shown: "posting/nmi" },
    { from: ANY, to: "quiet", who: "holder", does: "is given back with its VM", shown: "death/machine" },
  ],
};
