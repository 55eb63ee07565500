/**
 * The epoll instance on which the relay for Linux eventfds waits. Descriptors belong to the process, so whichever
 * thread needs it first makes it, and every thread adds and removes by itself.
 */
import { Header } from "../host/layout.js";
import type { HostMemory } from "../host/memory.js";
import { checked } from "./checked.js";
import { type Ffi, O_CLOEXEC, O_NONBLOCK } from "./ffi.js";

export const EPOLL_CTL_ADD = 1;
export const EPOLL_CTL_DEL = 2;
export const EPOLL_CTL_MOD = 3;
const EPOLLIN = 1;
/** Each write is an event of its own, also to an eventfd that is readable already. */
const EPOLLET = 1 << 31;
/** struct epoll_event is packed on x86-64 alone. */
const DATA_AT = process.arch === "x64" ? 4 : 8;
export const EPOLL_EVENT_BYTES = DATA_AT + 8;

/** One event to add: an irqfd's record and its generation come back with it. */
export function epollEvent(irqfd: number, generation: number): DataView {
  const event = new DataView(new ArrayBuffer(EPOLL_EVENT_BYTES));
  event.setInt32(0, EPOLLIN | EPOLLET, true);
  event.setInt32(DATA_AT, irqfd, true);
  event.setInt32(DATA_AT + 4, generation, true);
  return event;
}

/** The event at `index` of a buffer that epoll_wait filled. */
export function eventAt(events: DataView, index: number): { irqfd: number; generation: number } {
  const at = index * EPOLL_EVENT_BYTES + DATA_AT;
  return { irqfd: events.getInt32(at, true), generation: events.getInt32(at + 4, true) };
}

/** The relay's epoll descriptor, made at the first call in any thread. */
export function relayEpoll(memory: HostMemory, ffi: Ffi): number {
  const { words } = memory;
  const there = words.load(Header.epoll);
  if (there !== 0) return there - 1;
  const epoll = checked(ffi.epollCreate(O_CLOEXEC), "epoll_create1", "the relay");
  let control = -1;
  try {
    control = checked(ffi.eventfd(0, O_CLOEXEC | O_NONBLOCK), "eventfd", "the relay's control");
    checked(
      ffi.epollControl(epoll, EPOLL_CTL_ADD, control, epollEvent(0, 0)),
      "epoll_ctl",
      "the relay's control",
    );
  } catch (error) {
    for (const fd of [epoll, control]) if (fd >= 0) ffi.close(fd);
    throw error;
  }
  if (words.compareExchange(Header.epollControl, 0, control + 1) === 0) {
    words.store(Header.epoll, epoll + 1);
    return epoll;
  }
  // Another thread was first; it is about to store its epoll, if it has not.
  ffi.close(control);
  ffi.close(epoll);
  for (;;) {
    const theirs = words.load(Header.epoll);
    if (theirs !== 0) return theirs - 1;
    words.relax();
  }
}

/** Ends the relay's epoll_wait, so that it looks at its state. */
export function wakeRelay(memory: HostMemory, ffi: Ffi): void {
  const control = memory.words.load(Header.epollControl);
  if (control !== 0) ffi.write(control - 1, new BigUint64Array([1n]));
}

/** Closes both descriptors: the relay's last act. */
export function closeRelayEpoll(memory: HostMemory, ffi: Ffi): void {
  const epoll = memory.words.exchange(Header.epoll, 0);
  const control = memory.words.exchange(Header.epollControl, 0);
  if (epoll !== 0) ffi.close(epoll - 1);
  if (control !== 0) ffi.close(control - 1);
}
