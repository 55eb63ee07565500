import { ThreadState } from "#src/host/layout.js";
import { type StateTable, WHOLE } from "./table.js";

const BITS = (1 << ThreadState.workerShift) - 1;
const NO_ENDS = "The platform says when a thread ends, and that of the scenarios never does.";

/** Whether a thread has a record, and which worker it is. */
export const threadState: StateTable = {
  name: "thread state",
  words: ["thread.state"],
  keeper: "owner",
  names: { what: "worker", mask: ~BITS, shift: ThreadState.workerShift },
  states: {
    free: { mask: WHOLE, value: ThreadState.free, is: "nobody has the record" },
    attached: { mask: BITS, value: ThreadState.attached, is: "a thread of this worker has it" },
    ended: {
      mask: BITS,
      value: ThreadState.attached | ThreadState.ended,
      is: "that thread has come to its own end, and has left it behind",
    },
    lost: {
      mask: ThreadState.attached | ThreadState.lost,
      value: ThreadState.attached | ThreadState.lost,
      is: "that thread is gone, and is being repaired",
    },
  },
  // biome-ignore format: a table has one row a line
  rows: [
    { from: "free", to: "attached", who: "anyone", names: "self", does: "attaches", shown: "threads/attach" },
    { from: "attached", to: "free", who: "owner", does: "detaches", shown: "threads/attach" },
    { from: "attached", to: "ended", who: "owner", names: "same", does: "comes to its own end", unused: NO_ENDS },
    { from: "ended", to: "lost", who: "repairer", names: "same", does: "says that it is gone", unused: NO_ENDS },
    { from: "attached", to: "lost", who: "repairer", names: "same", does: "says that it is gone", shown: "death-repair/repairer" },
    { from: "lost", to: "free", who: "repairer", does: "gives its record back", shown: "death-repair/repairer" },
  ],
};
