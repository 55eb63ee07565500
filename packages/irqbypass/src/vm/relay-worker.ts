/**
 * The relay's thread. It is started by whoever created the host, and ends with it.
 */
import { runThread } from "../host/spawn.js";
import { type RelayStart, runRelay } from "./relay.js";
import { RelayHost } from "./relay-host.js";
import { relayThread } from "./relay-thread.js";

/** It blocks from then on, and its lock comes by its event loop: for so long it waits for that. */
const LOCK_MS = 200;

runThread<RelayStart>(relayThread.name, ({ host: handle, kinds }) => {
  // It runs none of the kinds' callbacks, so their names will do.
  const names = kinds.slice(1).map((name) => ({ name }));
  const host = RelayHost.attach(handle, { kinds: names, name: "relay" });
  const relay = (): undefined => {
    try {
      runRelay(host);
    } finally {
      host.dispose();
    }
  };
  if (host.platform.locks === undefined) return relay();
  return lockOf(host).then(relay);
});

/** Resolves when this thread has the lock of its life, or does not get it. */
async function lockOf(host: RelayHost): Promise<void> {
  let stop = (): void => {};
  const late = new Promise<void>((resolve) => {
    stop = host.platform.every(LOCK_MS, resolve);
  });
  await Promise.race([host.provable(), late]);
  stop();
}
