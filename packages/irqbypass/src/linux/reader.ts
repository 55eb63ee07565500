/**
 * Who waits until a descriptor can be read, an eventfd's or that of an epoll's own: it asks the relay's thread for one event, which
 * then wakes it. Until that thread runs, it looks by itself.
 */

import type { EventfdHost } from "../eventfd/kind.js";
import { askForRelay, relayRuns } from "../eventfd/relay-state.js";
import { Header, Rec } from "../host/layout.js";
import type { HostMemory } from "../host/memory.js";
import { EPOLL_CTL_ADD, EPOLL_CTL_DEL, EPOLL_CTL_MOD, readersEpoll, whenReadable } from "./epoll.js";
import type { Ffi } from "./ffi.js";

/** It looks this often while no relay runs that would tell. */
const LOOK_MS = 10;

/** Takes what {@link armReader} needs: EMFILE is thrown here. `kind` is the number of the Linux kind, here and below. */
export function prepareReader(memory: HostMemory, ffi: Ffi, kind: number): void {
  readersEpoll(memory, ffi, kind);
}

/** Asks for an event of the record as soon as `fd` can be read. Returns for how long to sleep at most. */
export function armReader(memory: EventfdHost, ffi: Ffi, kind: number, record: number, fd: number): number {
  askForRelay(memory, kind);
  const epoll = readersEpoll(memory, ffi, kind);
  if (epoll >= 0) {
    const event = whenReadable(record, memory.words.get(record + Rec.generation));
    // Again after ADD: another thread may have been the first to add it.
    const armed = [EPOLL_CTL_MOD, EPOLL_CTL_ADD, EPOLL_CTL_MOD].some(
      (how) => ffi.epollControl(epoll, how, fd, event) >= 0,
    );
    if (!armed) return LOOK_MS; // no memory for it, or the host's creator has just left
  }
  // After it has asked: a relay that ends wakes everybody once nobody can take it for running any more.
  return relayRuns(memory.words, kind) ? Infinity : LOOK_MS;
}

/** The descriptor is about to be closed: nobody sleeps until it can be read any more. */
export function forgetReader({ words }: HostMemory, ffi: Ffi, fd: number): void {
  const epoll = words.load(Header.readersEpoll) - 1;
  if (epoll >= 0) ffi.epollControl(epoll, EPOLL_CTL_DEL, fd, null); // ENOENT where nobody ever did
}
