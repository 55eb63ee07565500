import { Asked } from "#src/host/layout.js";
import { type StateTable, WHOLE } from "./table.js";

const MASK = Asked.mask;

/** How far the change of a KVM guest's route is that a thread asks for (`src/vm/asked-routes.ts`). */
export const asked: StateTable = {
  name: "change of a route that is asked for",
  words: ["thread.asked"],
  keeper: "owner",
  names: { what: "reference", mask: ~MASK, shift: 0 },
  states: {
    none: { mask: WHOLE, value: 0, is: "the thread asks for none, or its change has been carried out" },
    waiting: { mask: MASK, value: Asked.waiting, is: "it waits for whoever has the VM's mutex next" },
    taken: { mask: MASK, value: Asked.taken, is: "a thread with the VM's mutex is at it, or died there" },
    alone: {
      mask: MASK,
      value: Asked.alone,
      is: "it was refused among others: its thread makes it by itself",
    },
  },
  // biome-ignore format: a table has one row a line
  rows: [
    { from: "none", to: "waiting", who: "owner", does: "asks", shown: "asked/group" },
    { from: "waiting", to: "taken", who: "holder", names: "same", does: "is about to be made", shown: "asked/group" },
    { from: "taken", to: "none", who: "holder", does: "has been carried out, or made by a thread that died and KVM has it by now", shown: "asked/group" },
    { from: "taken", to: "alone", who: "holder", names: "same", does: "is taken back, since it or another was refused", shown: "asked/refused" },
    { from: "alone", to: "taken", who: "holder", names: "same", does: "is about to be made by itself", shown: "asked/refused" },
    { from: "alone", to: "none", who: "owner", does: "was refused, and its thread throws", shown: "asked/refused" },
    { from: "waiting", to: "none", who: "owner", does: "its VM has gone", unused: "no scenario ends a VM beside a change of its routes" },
    { from: "waiting", to: "none", who: "holder", does: "its thread has died, and it is given up", unused: "the scenarios report a dead thread when the others have come to their ends" },
    { from: "alone", to: "none", who: "holder", does: "its thread has died, and it is given up", unused: "no scenario has a death beside a refusal" },
  ],
};
