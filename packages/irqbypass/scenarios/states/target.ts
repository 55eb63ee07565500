import { Mode } from "#src/posting/irte.js";
import { ANY, type StateTable, WHOLE } from "./table.js";

const MODE = 3;

/** Where the interrupts of an irqfd go, as the remapping entry that a producer gets on connect. */
export const target: StateTable = {
  name: "target of an irqfd",
  words: ["consumer.target"],
  keeper: "holder",
  states: {
    none: { mask: WHOLE, value: 0, is: "it is not resolved yet" },
    relayed: { mask: MODE, value: Mode.relayed, is: "to the relay, for the reason in it" },
    posted: { mask: MODE, value: Mode.posted, is: "into this vCPU's descriptor, with this vector" },
    injected: { mask: MODE, value: Mode.injected, is: "by this injection" },
  },
  // biome-ignore format: a table has one row a line
  rows: [
    { from: "none", to: "posted", who: "owner", does: "is resolved by an assign", shown: "connect/connect" },
    { from: "none", to: "relayed", who: "owner", does: "is resolved by an assign", shown: "eventfd/close" },
    { from: "none", to: "injected", who: "owner", does: "is resolved by an assign", shown: "injected/connect" },
    { from: "posted", to: "posted", who: "holder", does: "follows a route to another vCPU or vector", shown: "signal/reroute" },
    { from: "posted", to: "relayed", who: "holder", does: "follows a route that is not postable", shown: "routing/away" },
    { from: "relayed", to: "posted", who: "holder", does: "follows a route that is postable", shown: "routing/away" },
    { from: "relayed", to: "relayed", who: "holder", does: "has another reason", shown: "routing/reason" },
    { from: "relayed", to: "injected", who: "holder", does: "follows a route", shown: "injected/reroute" },
    { from: "injected", to: "relayed", who: "holder", does: "follows a route that is no MSI", shown: "injected/reroute" },
    { from: ANY, to: "none", who: "holder", does: "is given back", shown: "signal/deassign" },
  ],
};
