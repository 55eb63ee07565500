/**
 * The thread of the relay for Linux eventfds. It is started by whoever created the host, and ends with it.
 */
import { runThread } from "../host/spawn.js";
import type { RelayStart } from "../vm/relay.js";
import { RelayHost } from "../vm/relay-host.js";
import { linux } from "./kind.js";
import { runLinuxRelay } from "./relay.js";
import { linuxRelayThread } from "./relay-thread.js";

runThread<RelayStart>(linuxRelayThread.name, ({ host: handle, kinds, kind }) => {
  const own = linux();
  const others = kinds.slice(1).map((name) => (name === own.name ? own : { name }));
  const host = RelayHost.attach(handle, { kinds: others, name: "linux relay" });
  try {
    runLinuxRelay(host, own, kind);
  } finally {
    host.dispose();
  }
});
