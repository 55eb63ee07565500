import { RelayState } from "#src/vm/relay.js";
import { type StateTable, WHOLE } from "./table.js";

const STARTS = "A scenario starts no threads; where one has a relay, it runs from the start.";

/** Whether the relay thread of a kind runs (`src/vm/relay.ts`). */
export const relayState: StateTable = {
  name: "relay state",
  words: ["header.relays"],
  keeper: "owner",
  states: {
    none: { mask: WHOLE, value: RelayState.none, is: "nobody needs it" },
    wanted: { mask: WHOLE, value: RelayState.wanted, is: "somebody needs it: the creator starts it" },
    running: { mask: WHOLE, value: RelayState.running, is: "it was started" },
    stopping: { mask: WHOLE, value: RelayState.stopping, is: "the creator leaves: it is to end" },
  },
  // biome-ignore format: a table has one row a line
  rows: [
    { from: "none", to: "wanted", who: "anyone", does: "asks for it", unused: STARTS },
    { from: "wanted", to: "running", who: "owner", does: "starts it", unused: STARTS },
    { from: "running", to: "wanted", who: "owner", does: "starts another one, because it has ended", unused: STARTS },
    { from: "none", to: "stopping", who: "owner", does: "leaves the host", unused: STARTS },
    { from: "wanted", to: "stopping", who: "owner", does: "leaves the host", unused: STARTS },
    { from: "running", to: "stopping", who: "owner", does: "leaves the host", unused: STARTS },
  ],
};
