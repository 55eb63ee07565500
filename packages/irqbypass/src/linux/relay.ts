/**
 * The relay for Linux eventfds that irqfds of software VMs listen to. It reads an eventfd out and injects; a poller of the
 * same eventfd may see the count before that, which the kernel's own irqfd never shows.
 */
import type { BypassHost } from "../bypass/bypass-host.js";
import { Consumer, Eventfd, EventfdFlag, Rec } from "../host/layout.js";
import { injectDue } from "../vm/relay.js";
import type { LinuxCalls } from "./calls.js";
import { checked } from "./checked.js";
import { EPOLL_CTL_MOD, EPOLL_EVENT_BYTES, epollEvent, eventAt, relayEpoll } from "./epoll.js";
import { fdOf } from "./kind.js";
import { takeSignal } from "./read-out.js";

const EVENTS = 64;
const EINTR = -4;

/** Waits for events and relays them, in rounds. */
export class LinuxRelay {
  private readonly events = new DataView(new ArrayBuffer(EVENTS * EPOLL_EVENT_BYTES));

  constructor(
    private readonly host: BypassHost,
    private readonly calls: LinuxCalls,
  ) {}

  /** Has every event reported once more that is there: a relay that died may have taken some along. */
  arm(): void {
    const { host } = this;
    const ffi = this.calls.ffi();
    const { words, pools } = host;
    host.forEachLive(pools.consumer, (irqfd) => {
      const eventfd = words.load(irqfd + Consumer.source);
      if (eventfd === 0 || (words.get(eventfd + Eventfd.flags) & EventfdFlag.linux) === 0) return;
      const event = epollEvent(irqfd, words.get(irqfd + Rec.generation));
      ffi.epollControl(relayEpoll(host, ffi), EPOLL_CTL_MOD, fdOf(host, eventfd), event); // ENOENT for KVM's
    });
  }

  /** Relays what is there, after waiting for it at most `timeoutMs`, -1 without end. Returns how many events there were. */
  round(timeoutMs: number): number {
    const { host, events } = this;
    const ffi = this.calls.ffi();
    const ready = ffi.epollWait(relayEpoll(host, ffi), events, EVENTS, timeoutMs);
    if (ready === EINTR) return 0;
    checked(ready, "epoll_wait", "the relay");
    for (let index = 0; index < ready; index++) {
      const { irqfd, generation } = eventAt(events, index);
      if (irqfd !== 0) this.relay(irqfd, generation);
    }
    return ready;
  }

  /**
   * One event. The announcement comes before the irqfd is looked at: deassign makes it unreachable first, then waits for
   * the announcement to be gone, so the eventfd's descriptor is open while it is used here.
   */
  private relay(irqfd: number, generation: number): void {
    const { host } = this;
    const { words, thread } = host;
    words.store(thread.writing, irqfd);
    try {
      const eventfd = words.load(irqfd + Consumer.source);
      if (eventfd === 0 || words.get(irqfd + Rec.generation) !== generation) return;
      takeSignal(host, this.calls, irqfd, eventfd);
      injectDue(host, irqfd);
    } finally {
      thread.leave(thread.writing);
    }
  }
}
