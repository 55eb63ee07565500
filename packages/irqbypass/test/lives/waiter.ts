/** A thread that waits, until it is ended or ends itself. */
import { parentPort, workerData } from "node:worker_threads";
import { attach, waiterOf } from "./waits.js";
import type { WaiterReady, WaiterWork } from "./work.js";

const work = workerData as WaiterWork;
const host = attach(work);
const waiter = waiterOf(host, work);
const ready: WaiterReady = { descriptor: waiter.descriptor ?? -1 };
parentPort?.postMessage(ready);
let turns = 0;
await waiter.run(() => ++turns < work.turns);
switch (work.ending) {
  case "process.exit(0)":
    process.exit(0);
    break;
  case "process.exit(3)":
    process.exit(3);
    break;
  case "an uncaught error":
    throw new Error("on purpose");
  case "its own end, everything given back":
    await waiter.end();
    host.dispose();
    break;
}
