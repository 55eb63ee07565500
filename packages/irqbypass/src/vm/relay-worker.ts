/**
 * The relay's thread. It is started by whoever created the host, and ends with it.
 */
import { Host } from "./host.js";
import { type RelayStart, runRelay } from "./relay.js";

function start({ host: handle, kinds }: RelayStart): void {
  // It runs none of the kinds' callbacks, so their names will do.
  const host = Host.attach(handle, { kinds: kinds.slice(1).map((name) => ({ name })), repairs: false });
  try {
    runRelay(host);
  } finally {
    host.dispose();
  }
}

const node = globalThis.process?.getBuiltinModule?.("node:worker_threads");
if (node !== undefined) {
  start(node.workerData as RelayStart);
} else {
  const scope = globalThis as unknown as {
    addEventListener(type: string, listener: (event: { data: RelayStart }) => void): void;
  };
  scope.addEventListener("message", ({ data }) => start(data));
}
