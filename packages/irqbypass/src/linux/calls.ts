import { Eventfd } from "../host/layout.js";
import type { HostMemory } from "../host/memory.js";
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
