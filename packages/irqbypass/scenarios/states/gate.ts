import { Gate } from "#src/host/layout.js";
import { type StateTable, WHOLE } from "./table.js";

const HELD_OR_PENDING = Gate.held | Gate.pending;

/** The gate of a device interrupt (`src/device/gate.ts`): what holds it back, and whether it is pending. */
export const gate: StateTable = {
  name: "gate",
  words: ["device.gates"],
  bits: (1 << Gate.producerShift) - 1,
  keeper: "owner",
  states: {
    free: { mask: HELD_OR_PENDING, value: 0, is: "nothing holds it back: it is open, if it has a producer" },
    owed: {
      mask: HELD_OR_PENDING,
      value: Gate.pending,
      is: "and it is pending: it is being sent, or it has no producer",
    },
    held: { mask: Gate.pending, value: 0, is: "something holds it back" },
    pending: { mask: Gate.pending, value: Gate.pending, is: "and it was raised" },
  },
  // biome-ignore format: a table has one row a line
  rows: [
    { from: "free", to: "held", who: "holder", does: "holds it back", shown: "gate/mask" },
    { from: "held", to: "free", who: "holder", does: "lets it go, or gives it back", shown: "gate/unmask" },
    { from: "held", to: "held", who: "holder", does: "holds it back for one more reason, or one less", shown: "death-device/reset" },
    { from: "free", to: "free", who: "holder", does: "notes that it has a host interrupt", shown: "gate/end" },
    { from: "held", to: "pending", who: "owner", does: "the device raises it", shown: "gate/mask" },
    { from: "held", to: "pending", who: "holder", does: "what waits in a trigger that is taken away is the vector's again", shown: "msix/waits" },
    { from: "free", to: "owed", who: "owner", does: "the device raises it, and it has no producer", shown: "conservation/vector" },
    { from: "owed", to: "pending", who: "holder", does: "holds back what is pending", shown: "conservation/vector" },
    { from: "pending", to: "owed", who: "holder", does: "lets it go: it is to be sent", shown: "gate/unmask" },
    { from: "owed", to: "free", who: "holder", does: "it was sent", shown: "gate/unmask" },
    { from: "owed", to: "owed", who: "holder", does: "notes that it has a host interrupt", shown: "death-device/disable" },
    { from: "pending", to: "pending", who: "holder", does: "holds it back for one more reason, or one less", shown: "gate/reset" },
    { from: "pending", to: "free", who: "holder", does: "a reset", shown: "gate/reset" },
    { from: "pending", to: "held", who: "holder", does: "a reset of a virtqueue", shown: "death-device/release" },
  ],
};

/** Where it leads: the number of its producer, plus one. */
export const gateTarget: StateTable = {
  name: "gate's producer",
  words: ["device.gates"],
  bits: -1 << Gate.producerShift,
  keeper: "owner",
  states: {
    none: { mask: WHOLE, value: 0, is: "it has no producer, which holds it back" },
    some: { mask: 0, value: 0, is: "what goes through goes where this producer leads" },
  },
  // biome-ignore format: a table has one row a line
  rows: [
    { from: "none", to: "some", who: "holder", does: "gets a trigger", shown: "conservation/vector" },
    { from: "some", to: "none", who: "holder", does: "loses it", shown: "gate/end" },
  ],
};
