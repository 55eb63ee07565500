import { Latch } from "#src/host/layout.js";
import { ANY, type StateTable, WHOLE } from "./table.js";

/** What another vCPU has told this one of how it is to begin (`src/vm/apic/events.ts`): INIT, and start-up with its vector. */
export const latch: StateTable = {
  name: "INIT and start-up of a vCPU",
  words: ["vcpu.latch"],
  keeper: "runner",
  states: {
    nothing: { mask: WHOLE, value: 0, is: "nothing has come" },
    init: { mask: 3, value: Latch.init, is: "an INIT has come, and no start-up after it" },
    both: {
      mask: 3,
      value: Latch.init | Latch.startUp,
      is: "an INIT, and after it a start-up with this vector",
    },
    startUp: { mask: 3, value: Latch.startUp, is: "a start-up with this vector" },
  },
  // biome-ignore format: a table has one row a line
  rows: [
    { from: "nothing", to: "init", who: "anyone", does: "an INIT comes", shown: "ipi/starts" },
    { from: "nothing", to: "startUp", who: "anyone", does: "a start-up comes", shown: "ipi/starts" },
    { from: "init", to: "both", who: "anyone", does: "a start-up comes before the INIT is applied", shown: "ipi/starts" },
    { from: "startUp", to: "init", who: "anyone", does: "an INIT takes the start-up's place", unused: "the scenario sends its start-up last" },
    { from: "both", to: "init", who: "anyone", does: "an INIT takes the place of both", unused: "the scenario sends one INIT" },
    { from: "both", to: "startUp", who: "runner", does: "the INIT is applied", shown: "ipi/starts" },
    { from: "init", to: "nothing", who: "runner", does: "the INIT is applied, and nothing came meanwhile", shown: "ipi/starts" },
    { from: "startUp", to: "nothing", who: "runner", does: "the start-up is applied", shown: "ipi/starts" },
    { from: ANY, to: "nothing", who: "holder", does: "is given back", unused: "no scenario gives back a vCPU that waits to be started" },
  ],
};
