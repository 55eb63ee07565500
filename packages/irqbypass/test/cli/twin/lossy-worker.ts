/** A device that drops one post in so many, as the environment says, and is the real one otherwise. */
import { workerData } from "node:worker_threads";
import { type DeviceThreadData, deviceThread } from "#src/cli/run/device-thread.js";

const every = Number(process.env.LOSE_EVERY ?? 10_000);
let sent = 0;
deviceThread(workerData as DeviceThreadData, (signal) => () => {
  sent += 1;
  if (sent % every !== 0) signal();
});
