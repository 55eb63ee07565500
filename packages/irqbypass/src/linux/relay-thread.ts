import type { ThreadModule } from "../host/spawn.js";
import { threads } from "./node.js";

/** The thread of the relay for Linux eventfds; a literal for bundlers, as that of the other relay. */
export const linuxRelayThread: ThreadModule = {
  name: "irqbypass/linux-relay-worker",
  start: () => {
    const { Worker } = threads();
    return new Worker(new URL("./linux-relay-worker.js", import.meta.url));
  },
};
