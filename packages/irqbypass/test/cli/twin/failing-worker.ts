/** A device whose thread fails as soon as it signals. */
import { workerData } from "node:worker_threads";
import { type DeviceThreadData, deviceThread } from "#src/cli/run/device-thread.js";

deviceThread(workerData as DeviceThreadData, () => () => {
  throw new Error("this device is broken");
});
