/**
 * The thread of the relay for Linux eventfds. It is started by whoever created the host, and ends with it.
 */
import { runThread } from "../host/spawn.js";
import { Host } from "../vm/host.js";
import { type RelayStart, relayRuns } from "../vm/relay.js";
import { closeRelayEpoll } from "./epoll.js";
import { linux } from "./kind.js";
import { LinuxRelay } from "./relay.js";
import { linuxRelayThread } from "./relay-thread.js";

const NO_LIMIT = -1;

runThread<RelayStart>(linuxRelayThread.name, ({ host: handle, kinds, kind }) => {
  const own = linux();
  const others = kinds.slice(1).map((name) => (name === own.name ? own : { name }));
  const host = Host.attach(handle, { kinds: others, repairs: false });
  try {
    const relay = new LinuxRelay(host, own);
    relay.arm();
    // Its kick is the control eventfd, which whoever disposes the host writes after it has changed the state.
    while (relayRuns(host, kind)) relay.round(NO_LIMIT);
  } finally {
    closeRelayEpoll(host, own.ffi());
    host.dispose();
  }
});
