/**
 * The relay for Linux eventfds that irqfds of software VMs listen to: one thread in epoll_wait. It reads an eventfd out
 * and injects; a poller of the same eventfd may see the count before that, which the kernel's own irqfd never shows.
 */
import { workerData } from "node:worker_threads";
import { Consumer, Rec } from "../host/layout.js";
import { Host } from "../vm/host.js";
import { type RelayStart, relayOne, relayRuns } from "../vm/relay.js";
import { checked } from "./checked.js";
import { closeRelayEpoll, EPOLL_EVENT_BYTES, eventAt, relayEpoll } from "./epoll.js";
import type { Ffi } from "./ffi.js";
import { fdOf, linux } from "./kind.js";

const EVENTS = 64;
const NO_LIMIT = -1;
const EINTR = -4;

function run(host: Host, kind: number, ffi: Ffi): void {
  const epoll = relayEpoll(host, ffi);
  const events = new DataView(new ArrayBuffer(EVENTS * EPOLL_EVENT_BYTES));
  const count = new BigUint64Array(1);
  while (relayRuns(host, kind)) {
    // Its kick is the control eventfd, which whoever disposes the host writes after it has changed the state.
    const ready = ffi.epollWait(epoll, events, EVENTS, NO_LIMIT);
    if (ready === EINTR) continue;
    checked(ready, "epoll_wait", "the relay");
    for (let index = 0; index < ready; index++) {
      const { irqfd, generation } = eventAt(events, index);
      if (irqfd !== 0) relayLinux(host, ffi, irqfd, generation, count);
    }
  }
}

/**
 * One event. The announcement comes before the irqfd is looked at: deassign makes it unreachable first, then waits for
 * the announcement to be gone, so the eventfd's descriptor is open while it is used here.
 */
function relayLinux(host: Host, ffi: Ffi, irqfd: number, generation: number, count: BigUint64Array): void {
  const { words, thread } = host;
  words.store(thread.writing, irqfd);
  try {
    const eventfd = words.load(irqfd + Consumer.source);
    if (eventfd === 0 || words.get(irqfd + Rec.generation) !== generation) return;
    // The first event of an eventfd that was not at 0 when it was assigned: an interrupt, but the count stays.
    if (words.exchange(irqfd + Consumer.leftover, 0) === 0) ffi.read(fdOf(host, eventfd), count);
  } finally {
    thread.leave(thread.writing);
  }
  relayOne(host, irqfd);
}

const { host: handle, kinds, kind } = workerData as RelayStart;
const own = linux();
const others = kinds.slice(1).map((name) => (name === own.name ? own : { name }));
const host = Host.attach(handle, { kinds: others });
try {
  run(host, kind, own.ffi());
} finally {
  closeRelayEpoll(host, own.ffi());
  host.dispose();
}
