/**
 * How an epoll watches the kernel's eventfds: through an epoll of the kernel, which says itself what is ready, level or edge. The relay
 * has that among the descriptors of who waits to read, and calls the waiter.
 */

import type { Watching } from "../eventfd/kind.js";
import { call } from "../eventfd/ready.js";
import { ERRNO } from "../host/errors.js";
import { Epoll, EpollControl, Rec, Watch } from "../host/layout.js";
import type { HostMemory } from "../host/memory.js";
import { fdOf, type LinuxCalls } from "./calls.js";
import { checked } from "./checked.js";
import { closeNamed, handOverAt, openOwn } from "./descriptor.js";
import {
  EPOLL_CTL_ADD,
  EPOLL_CTL_DEL,
  EPOLL_CTL_MOD,
  EPOLL_EVENT_BYTES,
  eachWrite,
  eventAt,
  whileReadable,
} from "./epoll.js";
import { type Ffi, O_CLOEXEC } from "./ffi.js";
import { armReader, forgetReader, prepareReader } from "./reader.js";

/** For how many events there is room at first: as many as a wait takes that is not told otherwise. */
const EVENTS = 64;

/** For the thread whose calls these are; `numberOf` says which kind of a host it is part of. */
export function linuxWatching({ ffi }: LinuxCalls, numberOf: (memory: HostMemory) => number): Watching {
  let events = new DataView(new ArrayBuffer(EVENTS * EPOLL_EVENT_BYTES));
  return {
    add(memory, watch) {
      const { words } = memory;
      const epoll = words.get(watch + Watch.epoll);
      const fd = fdOf(memory, words.get(watch + Watch.eventfd));
      prepareReader(memory, ffi(), numberOf(memory)); // what a waiter needs: it is refused here, and not when somebody waits
      const own = makeEpoll(memory, ffi(), epoll);
      const result = ffi().epollControl(own, EPOLL_CTL_ADD, fd, eventOf(memory, watch));
      checked(result, "epoll_ctl", `eventfd fd ${fd}`);
      call(words, epoll, EpollControl.ready); // a waiter may sleep that has not asked the kernel for anything yet
    },
    remove(memory, watch) {
      const own = ownOf(memory, memory.words.get(watch + Watch.epoll));
      if (own < 0) return;
      ffi().epollControl(own, EPOLL_CTL_DEL, fdOf(memory, memory.words.get(watch + Watch.eventfd)), null);
    },
    take(memory, epoll, most, report) {
      const own = ownOf(memory, epoll);
      if (own < 0 || most === 0) return;
      // All that fit by one call: what is ready as long as it can be read comes again with the next.
      const room = Math.min(most, memory.pools.watch.capacity);
      if (events.byteLength < room * EPOLL_EVENT_BYTES)
        events = new DataView(new ArrayBuffer(room * EPOLL_EVENT_BYTES));
      const ready = ffi().epollWait(own, events, room, 0);
      if (ready === -ERRNO.EINTR) return;
      checked(ready, "epoll_wait", `epoll ${memory.pools.epoll.slot(epoll)}`);
      for (let index = 0; index < ready; index++) {
        const { record: watch, generation } = eventAt(events, index);
        if (memory.words.get(watch + Rec.generation) === generation) report(watch);
      }
    },
    arm(memory, epoll) {
      const own = ownOf(memory, epoll);
      return own < 0 ? Infinity : armReader(memory, ffi(), numberOf(memory), epoll, own);
    },
    again(memory, watch) {
      const { words } = memory;
      const own = ownOf(memory, words.get(watch + Watch.epoll));
      if (own < 0) return;
      ffi().epollControl(
        own,
        EPOLL_CTL_MOD,
        fdOf(memory, words.get(watch + Watch.eventfd)),
        eventOf(memory, watch),
      );
    },
    close(memory, epoll) {
      const own = ownOf(memory, epoll);
      if (own < 0) return;
      forgetReader(memory, ffi(), own);
      closeNamed(memory, ffi(), epoll + Epoll.fd);
    },
  };
}

/** The kernel's epoll of an epoll; -1 while there is none. */
function ownOf({ words }: HostMemory, epoll: number): number {
  return words.load(epoll + Epoll.fd) - 1;
}

function makeEpoll(memory: HostMemory, ffi: Ffi, epoll: number): number {
  const { pools } = memory;
  const there = ownOf(memory, epoll);
  if (there >= 0) return there;
  const result = openOwn(memory, () => ffi.epollCreate(O_CLOEXEC));
  const made = checked(result, "epoll_create1", `epoll ${pools.epoll.slot(epoll)}`);
  return handOverAt(memory, ffi, epoll + Epoll.fd, made);
}

function eventOf({ words }: HostMemory, watch: number): DataView {
  const event = words.get(watch + Watch.edge) === 0 ? whileReadable : eachWrite;
  return event(watch, words.get(watch + Rec.generation));
}
