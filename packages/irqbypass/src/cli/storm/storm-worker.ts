/** The worker of one thread of a storm. */
import { parentPort, workerData } from "node:worker_threads";
import { type StormThreadData, stormThread } from "./storm-thread.js";

stormThread(workerData as StormThreadData, (step) => parentPort?.postMessage(step));
