/**
 * The relay's thread. It is started by whoever created the host, and ends with it.
 */
import { runThread } from "../host/spawn.js";
import { type RelayStart, runRelay } from "./relay.js";
import { relayThread } from "./relay-thread.js";
import { SlimHost } from "./slim-host.js";

runThread<RelayStart>(relayThread.name, ({ host: handle, kinds }) => {
  // It runs none of the kinds' callbacks, so their names will do.
  const host = SlimHost.attach(handle, { kinds: kinds.slice(1).map((name) => ({ name })), repairs: false });
  try {
    runRelay(host);
  } finally {
    host.dispose();
  }
});
