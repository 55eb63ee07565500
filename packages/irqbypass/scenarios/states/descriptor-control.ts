import { NOTIFICATION_VECTOR, NV_MASK, ON, SN, WAKEUP_VECTOR } from "#src/host/layout.js";
import { ANY, type StateTable, WHOLE } from "./table.js";

const RUNNING = NOTIFICATION_VECTOR << 16;
const ASLEEP = WAKEUP_VECTOR << 16;

/** The control word of an interrupt file (`src/host/layout/interrupt-file.ts`): ON, SN and NV. */
export const descriptorControl: StateTable = {
  name: "descriptor control",
  words: ["vcpu.control", "file.control"],
  bits: ON | SN | NV_MASK,
  keeper: "runner",
  states: {
    none: { mask: WHOLE, value: 0, is: "the descriptor is not made yet" },
    put: { mask: WHOLE, value: SN | RUNNING, is: "no thread runs the vCPU: posts notify nobody" },
    "put, on": { mask: WHOLE, value: SN | ON | RUNNING, is: "the same, and something was posted before" },
    "put asleep": { mask: WHOLE, value: SN | ASLEEP, is: "put by another than whoever slept" },
    "put asleep, on": {
      mask: WHOLE,
      value: SN | ON | ASLEEP,
      is: "the same, and something was posted before",
    },
    loaded: { mask: WHOLE, value: RUNNING, is: "a thread runs it, and nothing is posted" },
    "loaded, on": { mask: WHOLE, value: ON | RUNNING, is: "something is posted" },
    asleep: { mask: WHOLE, value: ASLEEP, is: "its thread sleeps, or is about to: whoever sets ON wakes it" },
    "asleep, on": { mask: WHOLE, value: ON | ASLEEP, is: "something is posted, and its thread was woken" },
  },
  // biome-ignore format: a table has one row a line
  rows: [
    { from: "none", to: "put", who: "holder", does: "is made", shown: "death/machine" },
    { from: "put", to: "loaded", who: "runner", does: "is taken onto a thread", shown: "posting/migration" },
    { from: "put, on", to: "loaded, on", who: "runner", does: "is taken onto a thread", shown: "posting/migration" },
    { from: "loaded", to: "put", who: "runner", does: "is taken off its thread", shown: "posting/migration" },
    { from: "loaded, on", to: "put, on", who: "runner", does: "is taken off its thread", shown: "posting/migration" },
    { from: "put", to: "put, on", who: "anyone", does: "notified by a post that began before it was put", shown: "posting/migration" },
    { from: "loaded", to: "loaded, on", who: "anyone", does: "notified by a post; by whoever loads it, if something was posted before", shown: "posting/halt" },
    { from: "loaded, on", to: "loaded", who: "runner", does: "harvests", shown: "posting/halt" },
    { from: "loaded", to: "asleep", who: "runner", does: "is about to sleep", shown: "posting/halt" },
    { from: "asleep", to: "asleep, on", who: "anyone", does: "notified by a post, which wakes it", shown: "posting/halt" },
    { from: "asleep", to: "loaded", who: "runner", does: "has slept, and was kicked", shown: "posting/kick" },
    { from: "asleep, on", to: "loaded, on", who: "runner", does: "has slept", shown: "posting/halt" },
    { from: "asleep", to: "put asleep", who: "runner", does: "is put while its thread waits, or for a thread that died asleep", shown: "death-repair/halted" },
    { from: "asleep, on", to: "put asleep, on", who: "runner", does: "is put while its thread waits, or for a thread that died asleep", shown: "death-repair/halted" },
    { from: "put asleep", to: "put asleep, on", who: "anyone", does: "notified by a post that began before it was put", shown: "death-repair/halted" },
    { from: "put asleep", to: "put", who: "runner", does: "is about to be taken onto a thread", shown: "death-repair/halted" },
    { from: "put asleep, on", to: "put, on", who: "runner", does: "is about to be taken onto a thread", shown: "death-repair/halted" },
    { from: "asleep, on", to: "asleep", who: "runner", does: "harvests while it waits", shown: "loop/arm" },
    { from: ANY, to: "none", who: "holder", does: "is given back with its VM", shown: "death/machine" },
  ],
};
