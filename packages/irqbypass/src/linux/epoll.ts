/**
 * The epoll instances on which the relay for Linux eventfds waits: one for the irqfds that it serves, and inside it one for
 * who sleeps until an eventfd can be read. Descriptors belong to the process, so whichever thread needs one first makes it,
 * and every thread adds and removes by itself. Whoever ends the relay closes them.
 */
import { Header, RelayState } from "../host/layout.js";
import type { HostMemory } from "../host/memory.js";
import { checked } from "./checked.js";
import { closeNamed, closeOwn, handOverAt, openOwn } from "./descriptor.js";
import { type Ffi, O_CLOEXEC } from "./ffi.js";

export const EPOLL_CTL_ADD = 1;
export const EPOLL_CTL_DEL = 2;
export const EPOLL_CTL_MOD = 3;
const EPOLLIN = 1;
/** Each write is an event of its own, also to an eventfd that is readable already. */
const EPOLLET = 1 << 31;
/** One event, also of what is readable now; then none until it is asked for again. */
const EPOLLONESHOT = 1 << 30;
/** struct epoll_event is packed on x86-64 alone. */
const DATA_AT = globalThis.process?.arch === "x64" ? 4 : 8; // a page, which has none, loads this file as well
export const EPOLL_EVENT_BYTES = DATA_AT + 8;

/** What an event is about: a record and its generation come back with it. */
export interface EpollData {
  readonly record: number;
  readonly generation: number;
}

/** One event to add for each write to an eventfd. */
export const eachWrite = (record: number, generation: number) =>
  epollEvent(EPOLLIN | EPOLLET, record, generation);

/** An event to add for as long as an eventfd can be read. */
export const whileReadable = (record: number, generation: number) => epollEvent(EPOLLIN, record, generation);

/** One event to add for the first moment at which an eventfd can be read. */
export const whenReadable = (record: number, generation: number) =>
  epollEvent(EPOLLIN | EPOLLONESHOT, record, generation);

function epollEvent(events: number, record: number, generation: number): DataView {
  const event = new DataView(new ArrayBuffer(EPOLL_EVENT_BYTES));
  event.setInt32(0, events, true);
  event.setInt32(DATA_AT, record, true);
  event.setInt32(DATA_AT + 4, generation, true);
  return event;
}

/** The event at `index` of a buffer that epoll_wait filled. */
export function eventAt(events: DataView, index: number): EpollData {
  const at = index * EPOLL_EVENT_BYTES + DATA_AT;
  return { record: events.getInt32(at, true), generation: events.getInt32(at + 4, true) };
}

/** The relay's epoll descriptor, made at the first call in any thread; -1 where no relay is to come any more. */
export function relayEpoll(memory: HostMemory, ffi: Ffi, kind: number): number {
  return epollIn(memory, ffi, kind, Header.epoll, () => {});
}

/** The same for that of the readers, with the relay's own: both are made, or none. What becomes ready in it is an event of record 0. */
export function readersEpoll(memory: HostMemory, ffi: Ffi, kind: number): number {
  return epollIn(memory, ffi, kind, Header.readersEpoll, (readers) => {
    const outer = relayEpoll(memory, ffi, kind);
    if (outer < 0) return;
    checked(
      ffi.epollControl(outer, EPOLL_CTL_ADD, readers, epollEvent(EPOLLIN, 0, 0)),
      "epoll_ctl",
      "the epoll of who reads",
    );
  });
}

function epollIn(
  memory: HostMemory,
  ffi: Ffi,
  kind: number,
  word: Header.epoll | Header.readersEpoll,
  made: (epoll: number) => void,
): number {
  const { words } = memory;
  const there = words.load(word);
  if (there !== 0) return there - 1;
  if (isOver(memory, kind)) return -1;
  const result = openOwn(memory, () => ffi.epollCreate(O_CLOEXEC));
  const epoll = checked(result, "epoll_create1", "the relay");
  try {
    made(epoll);
  } catch (error) {
    closeOwn(memory, ffi, epoll);
    throw error;
  }
  const named = handOverAt(memory, ffi, word, epoll);
  // Looked at once it is there: whoever ends the relays says so first, and closes what is there after that.
  if (!isOver(memory, kind)) return named;
  closeEpolls(memory, ffi);
  return -1;
}

function isOver({ words }: HostMemory, kind: number): boolean {
  return words.load(Header.relays + kind) === RelayState.stopping;
}

/** Closes both. */
export function closeEpolls(memory: HostMemory, ffi: Ffi): void {
  for (const word of [Header.readersEpoll, Header.epoll]) closeNamed(memory, ffi, word);
}
