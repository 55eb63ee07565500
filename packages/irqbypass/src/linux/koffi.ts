/**
 * {@link Ffi} on koffi, an optional dependency that brings prebuilt binaries and is loaded on first use.
 */
import { type OptionNames, readOptions } from "../host/argument.js";
import { IrqBypassError } from "../host/errors.js";
import type { Ffi } from "./ffi.js";
import { checkNode, modules } from "./node.js";

type Argument = number | string | ArrayBufferView | null;

/** What is used of koffi. */
interface Koffi {
  load(library: null): { func(prototype: string): (...args: Argument[]) => number };
  errno(): number;
  address(view: ArrayBufferView): bigint;
}

/** Where {@link loadFfi} looks; a test replaces it to see the refusals. */
export interface FfiSource {
  /** As `process.platform`. */
  readonly platform: string;
  /** As `process.arch`. */
  readonly arch: string;
  /** Loads a module by its name, as `require` does. */
  readonly require: (name: string) => unknown;
}

const SOURCE: OptionNames<FfiSource> = { platform: true, arch: true, require: true };

function thisProcess(): FfiSource {
  checkNode("Linux eventfds and KVM need");
  const { platform, arch } = process;
  return { platform, arch, require: modules().createRequire(import.meta.url) };
}

/**
 * Loads koffi and binds the C library of this process. About 30 ms the first time in a thread; each thread
 * loads its own. Throws ENOSYS, saying which, where this is not Linux, koffi is not installed, or koffi has no
 * binary for this machine.
 *
 * @example
 * ```ts
 * import { loadFfi } from "irqbypass/linux";
 *
 * const ffi = loadFfi();
 * ffi.close(ffi.eventfd(0, 0));
 * ```
 */
export function loadFfi(source: FfiSource = thisProcess()): Ffi {
  const from = readOptions(source, SOURCE, "{ platform, arch, require }, or nothing");
  if (from.platform !== "linux") {
    throw new IrqBypassError(
      "ENOSYS",
      `Linux eventfds and KVM need Linux, this is ${from.platform}; shared eventfds and software VMs work here`,
    );
  }
  let koffi: Koffi;
  try {
    koffi = from.require("koffi") as Koffi;
  } catch (cause) {
    if (isShortage(cause)) {
      throw new IrqBypassError("EMFILE", "no descriptor is free to load koffi with: close others", {
        subject: "koffi",
        cause,
      });
    }
    throw new IrqBypassError("ENOSYS", whyNoKoffi(cause, from), { subject: "koffi", cause });
  }
  try {
    return bind(koffi);
  } catch (cause) {
    throw new IrqBypassError("ENOSYS", whyNoKoffi(cause, from), { subject: "koffi", cause });
  }
}

/** Would it have worked with more descriptors? The dynamic linker says so in words alone. */
function isShortage(cause: unknown): boolean {
  const { code, message } = cause as Partial<NodeJS.ErrnoException>;
  return code === "EMFILE" || code === "ENFILE" || /too many open files/i.test(message ?? "");
}

function whyNoKoffi(cause: unknown, source: FfiSource): string {
  const missing = cause instanceof Error && (cause as NodeJS.ErrnoException).code === "MODULE_NOT_FOUND";
  if (missing && cause.message.includes("'koffi'")) {
    return "calls into the C library need the package koffi, which is not installed; run: npm install koffi";
  }
  const detail = cause instanceof Error ? cause.message.split("\n")[0] : String(cause);
  return `koffi has no binary that loads on ${source.platform}-${source.arch} (${detail}); reinstall it with its optional packages`;
}

// ioctl, open, fcntl and syscall are variadic in C and declared here with the arguments they are given. On the
// 64-bit ABIs of Linux both are passed the same way, and a fixed prototype is a third faster to call.
function bind(koffi: Koffi): Ffi {
  const libc = koffi.load(null);
  const open = libc.func("int open(const char *path, int flags, int mode)");
  const close = libc.func("int close(int fd)");
  const fcntl = libc.func("int fcntl(int fd, int command, long argument)");
  const read = libc.func("long read(int fd, void *buffer, size_t length)");
  const write = libc.func("long write(int fd, const void *buffer, size_t length)");
  const ioctl = libc.func("int ioctl(int fd, unsigned long request, uintptr_t argument)");
  const ioctlBuffer = libc.func("int ioctl(int fd, unsigned long request, void *buffer)");
  const eventfd = libc.func("int eventfd(unsigned int count, int flags)");
  const eventfdWrite = libc.func("int eventfd_write(int fd, uint64_t value)");
  const epollCreate = libc.func("int epoll_create1(int flags)");
  const epollControl = libc.func("int epoll_ctl(int fd, int operation, int target, void *event)");
  const epollWait = libc.func("int epoll_wait(int fd, void *events, int count, int timeout)");
  const poll = libc.func("int poll(void *fds, unsigned long count, int timeout)");
  const mmap = libc.func(
    "intptr_t mmap(uintptr_t at, size_t length, int prot, int flags, int fd, long offset)",
  );
  const munmap = libc.func("int munmap(uintptr_t address, size_t length)");
  const sigprocmask = libc.func("int sigprocmask(int how, const void *set, void *old)");
  const syscall = libc.func("long syscall(long number, long a, long b, long c, long d, long e, long f)");
  const memcpy = libc.func("uintptr_t memcpy(void *target, uintptr_t source, size_t length)");

  // koffi restores the errno of its last call, so nothing that V8 did in between shows here.
  const result = (value: number): number => (value < 0 ? -koffi.errno() : value);

  // Those that open and close call nothing after their system call: see descriptor.ts.
  return {
    open(path, flags, mode) {
      const value = open(path, flags, mode);
      return value < 0 ? -koffi.errno() : value;
    },
    close(fd) {
      const value = close(fd);
      return value < 0 ? -koffi.errno() : value;
    },
    fcntl(fd, command, argument) {
      const value = fcntl(fd, command, argument);
      return value < 0 ? -koffi.errno() : value;
    },
    read: (fd, buffer) => result(read(fd, buffer, buffer.byteLength)),
    write: (fd, buffer) => result(write(fd, buffer, buffer.byteLength)),
    ioctl(fd, request, argument) {
      const value = ioctl(fd, request, argument);
      return value < 0 ? -koffi.errno() : value;
    },
    ioctlBuffer: (fd, request, buffer) => result(ioctlBuffer(fd, request, buffer)),
    eventfd(count, flags) {
      const value = eventfd(count, flags);
      return value < 0 ? -koffi.errno() : value;
    },
    eventfdWrite: (fd, value) => result(eventfdWrite(fd, value)),
    epollCreate(flags) {
      const value = epollCreate(flags);
      return value < 0 ? -koffi.errno() : value;
    },
    epollControl: (fd, operation, target, event) => result(epollControl(fd, operation, target, event)),
    epollWait: (fd, events, count, timeoutMs) => result(epollWait(fd, events, count, timeoutMs)),
    poll: (fds, count, timeoutMs) => result(poll(fds, count, timeoutMs)),
    mmap: (length, protection, flags, fd, offset) => result(mmap(0, length, protection, flags, fd, offset)),
    munmap: (address, length) => result(munmap(address, length)),
    signalMask: (how, set, old) => result(sigprocmask(how, set, old)),
    syscall: (number, a = 0, b = 0, c = 0, d = 0, e = 0, f = 0) => result(syscall(number, a, b, c, d, e, f)),
    copyFrom: (address, target) => void memcpy(target, address, target.byteLength),
    addressOf: (view) => Number(koffi.address(view)),
  };
}
