/**
 * The relay's thread. It is started by whoever created the host, and ends with it.
 */
import type { HostHandle } from "../host/memory.js";
import { Host } from "./host.js";
import { runRelay } from "./relay.js";

/** What the relay's thread is told. */
export interface RelayStart {
  readonly host: HostHandle;
  /** Names of the host's kinds: the relay runs none of their callbacks, but must know that they exist. */
  readonly kinds: readonly string[];
}

function start({ host: handle, kinds }: RelayStart): void {
  const host = Host.attach(handle, { kinds: kinds.slice(1).map((name) => ({ name })) });
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
