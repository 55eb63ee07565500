/**
 * The relay for Linux eventfds that irqfds of software VMs listen to. It reads an eventfd out and injects; a poller of the
 * same eventfd may see the count before that, which the kernel's own irqfd never shows.
 */
import type { BypassHost } from "../bypass/bypass-host.js";
import { call } from "../eventfd/ready.js";
import { wakeSleepers } from "../eventfd/signal.js";
import { ERRNO } from "../host/errors.js";
import { Consumer, EpollControl, Eventfd, EventfdFlag, Header, Rec, RelayState } from "../host/layout.js";
import { relayRounds } from "../vm/relay.js";
import { fdOf, type LinuxCalls } from "./calls.js";
import { checked } from "./checked.js";
import { closeEpolls, EPOLL_CTL_MOD, EPOLL_EVENT_BYTES, eachWrite, eventAt, relayEpoll } from "./epoll.js";
import { linuxKindOf } from "./kind.js";
import { deliver } from "./read-out.js";

const EVENTS = 64;
/** What its thread is to end by does not reach into epoll_wait, so it looks this often. */
const SLICE_MS = 50;

/** Waits for events of Linux eventfds and passes them on, in rounds: to irqfds, and to who sleeps until it can read. */
export class LinuxRelay {
  private readonly events = new DataView(new ArrayBuffer(EVENTS * EPOLL_EVENT_BYTES));
  private readonly kind: number;

  constructor(
    private readonly host: BypassHost,
    private readonly calls: LinuxCalls,
  ) {
    this.kind = linuxKindOf(host).number;
  }

  /** Has every event reported once more that is there: a relay that died may have taken some along. */
  arm(): void {
    const { host, kind } = this;
    const ffi = this.calls.ffi();
    const { words, pools } = host;
    const epoll = relayEpoll(host, ffi, kind);
    host.forEachLive(pools.consumer, (irqfd) => {
      const eventfd = words.load(irqfd + Consumer.source);
      if (eventfd === 0 || (words.load(eventfd + Eventfd.flags) & EventfdFlag.linux) === 0) return;
      const event = eachWrite(irqfd, words.get(irqfd + Rec.generation));
      ffi.epollControl(epoll, EPOLL_CTL_MOD, fdOf(host, eventfd), event); // ENOENT for KVM's
    });
    this.wakeAll();
  }

  /** Every reader looks for itself, and asks again: when a relay begins, and once it has ended. */
  wakeAll(): void {
    const { host } = this;
    const { words, pools } = host;
    host.forEachLive(pools.eventfd, (eventfd) => {
      if (words.load(eventfd + Eventfd.flags) & EventfdFlag.linux) wakeSleepers(words, eventfd);
    });
    host.forEachLive(pools.epoll, (epoll) => call(words, epoll, EpollControl.ready));
  }

  /** Passes on what is there, after waiting for it at most `timeoutMs`. Returns how many events there were. */
  round(timeoutMs = SLICE_MS): number {
    const epoll = relayEpoll(this.host, this.calls.ffi(), this.kind);
    return epoll < 0 ? 0 : this.take(epoll, timeoutMs, (irqfd, generation) => this.relay(irqfd, generation));
  }

  private take(epoll: number, timeoutMs: number, pass: (record: number, generation: number) => void): number {
    const { events } = this;
    const ready = this.calls.ffi().epollWait(epoll, events, EVENTS, timeoutMs);
    if (ready === -ERRNO.EINTR) return 0;
    checked(ready, "epoll_wait", "the relay");
    // Copied first: what is passed on may bring more events into the same buffer.
    const taken = Array.from({ length: ready }, (_, index) => eventAt(events, index));
    for (const { record, generation } of taken) pass(record, generation);
    return ready;
  }

  /** One event. */
  private relay(irqfd: number, generation: number): void {
    if (irqfd === 0) this.wakeReaders();
    else deliver(this.host, this.calls, irqfd, generation);
  }

  /**
   * Some eventfds can be read, or the kernel's part of an epoll. Who sleeps on one looks for itself, and asks again where another
   * was faster.
   */
  private wakeReaders(): void {
    const { host } = this;
    const { words, pools, mutex } = host;
    this.take(words.load(Header.readersEpoll) - 1, 0, (record, generation) => {
      // Under the host mutex: the record is not given back meanwhile.
      mutex.guard(() => {
        if (words.get(record + Rec.generation) !== generation) return; // it is gone
        if (pools.epoll.has(record)) call(words, record, EpollControl.ready);
        else wakeSleepers(words, record);
      });
    });
  }
}

/** Runs the relay in the calling thread until it is to end; then nobody waits for it any more. Blocks. */
export function runLinuxRelay(host: BypassHost, calls: LinuxCalls, kind: number): void {
  const relay = new LinuxRelay(host, calls);
  const ran = relayRounds(host, kind, () => {
    relay.arm();
    return () => relay.round();
  });
  if (!ran) return; // another one was first
  if (host.words.load(Header.relays + kind) === RelayState.stopping) closeEpolls(host, calls.ffi());
  relay.wakeAll();
}
