import { Mode, UNCONNECTED } from "#src/posting/irte.js";
import { ANY, type StateTable, WHOLE } from "./table.js";

const MODE = 3;

/** The interrupt remapping table entry of a producer (`src/posting/irte.ts`): where its signals go. */
export const remappingEntry: StateTable = {
  name: "remapping entry",
  words: ["producer.irte"],
  keeper: "holder",
  states: {
    none: { mask: WHOLE, value: 0, is: "the producer was never registered" },
    unconnected: { mask: WHOLE, value: UNCONNECTED, is: "relayed, because there is no consumer" },
    relayed: { mask: MODE, value: Mode.relayed, is: "relayed, for the reason in it" },
    posted: { mask: MODE, value: Mode.posted, is: "into this vCPU's descriptor, with this vector" },
    injected: { mask: MODE, value: Mode.injected, is: "by this injection" },
  },
  // biome-ignore format: a table has one row a line
  rows: [
    { from: "none", to: "unconnected", who: "holder", does: "is registered for the first time", shown: "routing/switched" },
    { from: "unconnected", to: "posted", who: "holder", does: "is connected", shown: "routing/switched" },
    { from: "unconnected", to: "relayed", who: "holder", does: "is connected, and not bypassed; or its consumer went with a dead thread", shown: "routing/switched" },
    { from: "unconnected", to: "injected", who: "holder", does: "is connected", shown: "injected/connect" },
    { from: "posted", to: "posted", who: "holder", does: "follows a route to another vCPU or vector", shown: "signal/reroute" },
    { from: "posted", to: "relayed", who: "holder", does: "follows a route that is not postable, or the switch", shown: "routing/switched" },
    { from: "posted", to: "unconnected", who: "holder", does: "is disconnected", shown: "signal/unregister" },
    { from: "relayed", to: "posted", who: "holder", does: "follows a route that is postable, or the switch", shown: "routing/away" },
    { from: "relayed", to: "relayed", who: "holder", does: "has another reason", shown: "routing/reason" },
    { from: "relayed", to: "injected", who: "holder", does: "follows a route, or the switch", shown: "injected/reroute" },
    { from: "relayed", to: "unconnected", who: "holder", does: "is disconnected", shown: "fence/switched" },
    { from: "injected", to: "relayed", who: "holder", does: "follows a route that is no MSI, or the switch", shown: "injected/reroute" },
    { from: "injected", to: "unconnected", who: "holder", does: "is disconnected", shown: "injected/deassign" },
    { from: ANY, to: "none", who: "holder", does: "is given back", shown: "death/unregister" },
  ],
};
