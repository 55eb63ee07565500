/** A thread that waits, until it is ended or ends itself. */
import { parentPort, workerData } from "node:worker_threads";
import { endBy } from "../support/ending.js";
import { attach, waiterOf } from "./waits.js";
import type { WaiterReady, WaiterWork } from "./work.js";

const work = workerData as WaiterWork;
const host = attach(work);
const waiter = waiterOf(host, work);
const ready: WaiterReady = { descriptor: waiter.descriptor ?? -1 };
parentPort?.postMessage(ready);
let turns = 0;
await waiter.run(() => ++turns < work.turns);
await endBy(work.ending, async () => {
  await waiter.end();
  host.dispose();
});
