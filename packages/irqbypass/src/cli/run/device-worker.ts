/** The thread of one device. */
import { workerData } from "node:worker_threads";
import { type DeviceThreadData, deviceThread } from "./device-thread.js";

deviceThread(workerData as DeviceThreadData);
