import { RelayState } from "#src/host/layout.js";
import { type StateTable, WHOLE } from "./table.js";

const STARTS = "A scenario starts no threads, so it hears of none that could not be started.";

/** Whether the relay thread of a kind runs (`src/vm/relay-keeper.ts`). */
export const relayState: StateTable = {
  name: "relay state",
  words: ["header.relays"],
  keeper: "owner",
  states: {
    none: { mask: WHOLE, value: RelayState.none, is: "nobody needs it" },
    wanted: { mask: WHOLE, value: RelayState.wanted, is: "somebody needs it: the creator starts it" },
    starting: { mask: WHOLE, value: RelayState.starting, is: "a thread was started, and does not relay yet" },
    running: { mask: RelayState.mask, value: RelayState.running, is: "this thread relays" },
    stopping: { mask: WHOLE, value: RelayState.stopping, is: "the creator leaves: it is to end" },
  },
  // biome-ignore format: a table has one row a line
  rows: [
    { from: "none", to: "wanted", who: "anyone", does: "asks for it", shown: "relay/ask" },
    { from: "wanted", to: "starting", who: "owner", does: "starts a thread", shown: "relay/ask" },
    { from: "starting", to: "running", who: "anyone", does: "is the first to relay", shown: "relay/ask" },
    { from: "starting", to: "wanted", who: "owner", does: "no thread has come of it", unused: STARTS },
    { from: "running", to: "wanted", who: "anyone", does: "says that this thread relays no more", shown: "relay/death" },
    { from: "none", to: "stopping", who: "owner", does: "leaves the host", shown: "relay/stop" },
    { from: "wanted", to: "stopping", who: "owner", does: "leaves the host", shown: "relay/stop" },
    { from: "starting", to: "stopping", who: "owner", does: "leaves the host", shown: "relay/stop" },
    { from: "running", to: "stopping", who: "owner", does: "leaves the host", shown: "relay/stop" },
  ],
};
