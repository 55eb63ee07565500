import { Worker } from "node:worker_threads";
import type { ThreadModule } from "../host/spawn.js";

/** The thread of the relay for Linux eventfds; a literal for bundlers, as that of the other relay. */
export const linuxRelayThread: ThreadModule = {
  name: "irqbypass/linux-relay-worker",
  start: () => new Worker(new URL("./linux-relay-worker.js", import.meta.url)),
};
