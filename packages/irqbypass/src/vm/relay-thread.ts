import type { ThreadWorker } from "../host/platform.js";
import type { ThreadModule } from "../host/spawn.js";

/** The DOM's, which Node lacks. */
declare const Worker: new (module: URL, options: { type: "module" }) => ThreadWorker;

/**
 * The relay's thread. Bundlers look for `new Worker(new URL(...), ...)` with the global `Worker` and a literal in it, and
 * bundle the module that it names; Node's adapter gets the place in two parts, which they leave alone.
 */
export const relayThread: ThreadModule = {
  name: "irqbypass/relay-worker",
  start: ({ spawn }) =>
    spawn === undefined
      ? new Worker(new URL("./relay-worker.js", import.meta.url), { type: "module" })
      : spawn("./relay-worker.js", import.meta.url),
};
