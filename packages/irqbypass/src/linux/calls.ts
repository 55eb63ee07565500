import { Eventfd, EventfdFlag } from "../host/layout.js";
import type { HostMemory } from "../host/memory.js";
import { readNow } from "./blocking.js";
import { type EventfdInfo, infoOf } from "./eventfd-info.js";
import type { Ffi } from "./ffi.js";
import { loadFfi } from "./koffi.js";

/** What a thread asks the kernel about eventfds. A scenario of the explorer puts a model of the kernel in its place. */
export interface LinuxCalls {
  /** The C library of the thread, loaded at the first call. Throws ENOSYS, saying why, where there is none. */
  readonly ffi: () => Ffi;
  /** What the kernel says of an eventfd's descriptor; as {@link infoOf}. */
  readonly info: (fd: number, subject?: string) => EventfdInfo;
}

/** The calls of the calling thread. */
export function realCalls(): LinuxCalls {
  let loaded: Ffi | undefined;
  return {
    ffi() {
      loaded ??= loadFfi();
      return loaded;
    },
    info: infoOf,
  };
}

/** The host's own descriptor of a Linux eventfd record; it stays open while the record lives. */
export function fdOf({ words }: HostMemory, eventfd: number): number {
  return words.get(eventfd + Eventfd.fd) - 1;
}

/** Is the eventfd known to have been without EFD_NONBLOCK? */
export function isBlocking({ words }: HostMemory, eventfd: number): boolean {
  return (words.load(eventfd + Eventfd.flags) & EventfdFlag.blocking) !== 0;
}

/** Reads an eventfd, and does not sleep: as read(2) of one with EFD_NONBLOCK, or {@link readNow}. */
export function readCount(
  memory: HostMemory,
  { ffi }: LinuxCalls,
  eventfd: number,
  into: BigUint64Array,
): number {
  const fd = fdOf(memory, eventfd);
  return isBlocking(memory, eventfd) ? readNow(ffi(), fd, into) : ffi().read(fd, into);
}
