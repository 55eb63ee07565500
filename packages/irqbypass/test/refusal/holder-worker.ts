/** The other thread of `holder.ts`. */
import { parentPort } from "node:worker_threads";

/** Far more than a call takes that is refused: whoever waits for so long waits for ever. */
const LIMIT_MS = 10_000;

export const enum Held {
  waiting = 0,
  enough = 1,
  late = 2,
}

export interface Hold {
  readonly memory: Int32Array;
  readonly word: number;
  readonly state: Int32Array;
}

parentPort?.on("message", ({ memory, word, state }: Hold) => {
  if (Atomics.wait(state, 0, Held.waiting, LIMIT_MS) !== "timed-out") return;
  if (Atomics.compareExchange(state, 0, Held.waiting, Held.late) === Held.waiting)
    Atomics.store(memory, word, 0);
});
parentPort?.postMessage("up"); // all of it is loaded: a file that it reads is a descriptor, too
