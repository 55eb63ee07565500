/**
 * What a host needs to know to hold Linux eventfds: pass `linux()` to Host.create and Host.attach in every thread.
 */
import type { BypassHost } from "../bypass/bypass-host.js";
import type { Kind } from "../bypass/kind.js";
import { ERRNO, IrqBypassError } from "../host/errors.js";
import { Eventfd as E, EventfdFlag, Header, Rec, Thread } from "../host/layout.js";
import type { HostMemory } from "../host/memory.js";
import { XArray } from "../host/xarray.js";
import { canReadNow, isFull, isReadable, mustNotBlock } from "./blocking.js";
import { fdOf, isBlocking, type LinuxCalls, realCalls } from "./calls.js";
import { checked } from "./checked.js";
import { closeEventfd, closeLeft } from "./descriptor.js";
import { closeEpolls, EPOLL_CTL_ADD, EPOLL_CTL_DEL, eachWrite, readersEpoll, relayEpoll } from "./epoll.js";
import type { Ffi } from "./ffi.js";
import { closeKick } from "./kick.js";
import { deliverThere, noteCount, readFor, readOut } from "./read-out.js";
import { forgetReader } from "./reader.js";
import { linuxRelayThread } from "./relay-thread.js";
import { writeInTurn } from "./turn.js";
import { linuxWatching } from "./watching.js";

const NAME = "linux-eventfd";

/** The kind of Linux eventfds, with the calls of the thread that made it. */
export interface LinuxKind extends Kind {
  /** The C library, loaded at the first call. Throws ENOSYS, saying why, where there is none. */
  readonly ffi: () => Ffi;
  /** @internal As {@link LinuxCalls.info}. */
  readonly info: LinuxCalls["info"];
}

/**
 * The kind of Linux eventfds. One for each thread; works, but is not capable, where there is no FFI.
 *
 * @example
 * ```ts
 * import { Host } from "irqbypass";
 * import { linux } from "irqbypass/linux";
 *
 * const host = Host.create({ kinds: [linux()] });
 * const there = Host.attach(host.handle, { kinds: [linux()] }); // the same in every thread
 * console.log(there.threadId);
 * ```
 */
export function linux(): LinuxKind {
  return linuxKind(realCalls());
}

/** @internal The same over other calls. */
export function linuxKind(calls: LinuxCalls): LinuxKind {
  const { ffi, info } = calls;
  return {
    name: NAME,
    ffi,
    info,
    capable: () => isCapable(ffi),
    forget(memory, eventfd) {
      const { words } = memory;
      byKernelId(memory).erase(words.get(eventfd + E.kernelId));
      const fd = fdOf(memory, eventfd);
      return () => {
        forgetReader(memory, ffi(), fd);
        closeKick(memory, ffi(), eventfd);
        checked(closeEventfd(memory, ffi(), eventfd), "close", `eventfd fd ${fd}`);
      };
    },
    reclaim(memory, eventfd) {
      closeKick(memory, ffi(), eventfd);
      const fd = fdOf(memory, eventfd);
      if (fd >= 0) forgetReader(memory, ffi(), fd);
      closeEventfd(memory, ffi(), eventfd);
    },
    closeLeft: (memory, gone) => closeLeft(memory, ffi(), gone),
    signal: (memory, eventfd) => signalFd(memory, ffi(), eventfd),
    take: (memory, eventfd) =>
      isCapable(ffi) &&
      !isBlocking(memory, eventfd) &&
      readFor(memory as BypassHost, calls, eventfd, new BigUint64Array(1)) >= 0,
    listen: {
      start(memory, irqfd, eventfd) {
        const fd = fdOf(memory, eventfd);
        const { nonblocking, id } = info(fd);
        if (!nonblocking && !canReadNow(ffi(), fd)) throw mustNotBlock(`eventfd ${id}`);
        noteMode(memory, eventfd, nonblocking); // before the relay hears of it
        const { number } = linuxKindOf(memory);
        readersEpoll(memory, ffi(), number); // before anything is written: it may be refused; and so that who waits later is not
        const epoll = relayEpoll(memory, ffi(), number);
        noteCount(memory, irqfd, eventfd, () => info(fd).count);
        if (epoll < 0) return false; // the host's creator has left: nobody relays any more, and the irqfd says so
        const event = eachWrite(irqfd, memory.words.get(irqfd + Rec.generation));
        checked(ffi().epollControl(epoll, EPOLL_CTL_ADD, fd, event), "epoll_ctl", `eventfd ${id}`);
        return false;
      },
      stop(memory, irqfd, eventfd) {
        const { words, thread } = memory;
        const epoll = words.load(Header.epoll) - 1;
        if (epoll >= 0) ffi().epollControl(epoll, EPOLL_CTL_DEL, fdOf(memory, eventfd), null);
        // The relay begins nothing with an irqfd that is being deassigned. What it has begun, it ends first.
        thread.fenceAll(Thread.writing, irqfd);
        readOut(memory, calls, irqfd, eventfd);
      },
      flush(memory, irqfd, generation) {
        deliverThere(memory, calls, irqfd, generation);
      },
      waits(memory, eventfd) {
        const { words, mutex } = memory;
        const kernelId = words.get(eventfd + E.kernelId);
        // Not by its fdinfo, which takes a descriptor: they may be what the relay lacks.
        const readable = isReadable(ffi(), fdOf(memory, eventfd));
        // Looked at after that: the descriptor is closed once its number is forgotten.
        return readable && mutex.guard(() => byKernelId(memory).load(kernelId)) === eventfd;
      },
    },
    watching: linuxWatching(calls, (memory) => linuxKindOf(memory).number),
    relay: {
      thread: linuxRelayThread,
      close: (memory) => closeEpolls(memory, ffi()),
    },
  };
}

/**
 * What a device does: adds 1. To a full counter, where the kernel's own signal saturates and wakes, user space can add
 * nothing: it stays as it is, and a write of 0 wakes who listens.
 */
export function signalFd(memory: HostMemory, ffi: Ffi, eventfd: number): void {
  const fd = fdOf(memory, eventfd);
  let result = isBlocking(memory, eventfd) ? signalBlocking(memory, ffi, eventfd) : ffi.eventfdWrite(fd, 1);
  if (result === -ERRNO.EAGAIN) result = ffi.eventfdWrite(fd, 0);
  if (result < 0) checked(result, "write", `eventfd fd ${fd}`);
}

/** The same of one whose write would sleep where there is no room. */
function signalBlocking(memory: HostMemory, ffi: Ffi, eventfd: number): number {
  const fd = fdOf(memory, eventfd);
  const hasRoom = () => !isFull(ffi, fd);
  let result = -ERRNO.EAGAIN;
  writeInTurn(memory, eventfd, hasRoom, hasRoom, () => {
    result = ffi.eventfdWrite(fd, 1);
  });
  return result;
}

/** Notes of an eventfd that it blocks, which its descriptors say together, and whoever has one may change. */
export function noteMode(memory: HostMemory, eventfd: number, nonblocking: boolean): void {
  if (!nonblocking && !isBlocking(memory, eventfd)) memory.words.or(eventfd + E.flags, EventfdFlag.blocking);
}

/** Can the calling thread make system calls? */
export function isCapable(ffi: () => Ffi): boolean {
  try {
    ffi();
    return true;
  } catch (error) {
    if (error instanceof IrqBypassError && error.code === "ENOSYS") return false;
    throw error;
  }
}

/** The host's Linux kind and its number. Throws EINVAL where the host was made without it. */
export function linuxKindOf(memory: HostMemory): { readonly kind: LinuxKind; readonly number: number } {
  const { kinds } = memory as BypassHost;
  const number = kinds.findIndex(({ name }) => name === NAME);
  if (number < 0) {
    throw new IrqBypassError(
      "EINVAL",
      "this host was made without Linux eventfds: pass kinds: [linux()] from irqbypass/linux to Host.create and Host.attach",
    );
  }
  return { kind: kinds[number] as LinuxKind, number };
}

/** The records of Linux eventfds by the kernel's id: two descriptors of one context are one record. Under the host mutex. */
export function byKernelId({ words, pools }: HostMemory): XArray {
  return new XArray(words, Header.linuxEventfds, pools.node);
}
