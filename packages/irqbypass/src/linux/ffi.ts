import { show } from "../host/argument.js";
import { IrqBypassError } from "../host/errors.js";

/**
 * The C library as this project sees it: a dozen and a half calls, in one interface, so that another way to call
 * C can be one more file beside koffi.ts.
 *
 * Every call returns what the C function returns where that is 0 or more, and the negative errno value where the
 * call failed: -9 for EBADF. Nothing here throws for a failed system call; whoever calls it does.
 *
 * Addresses are numbers: user addresses of Linux lie below 2^47. Buffers are passed in place, shared ones too;
 * the caller keeps them alive while the kernel may use them.
 *
 * An `Ffi` belongs to the thread that loaded it. Each thread loads its own; file descriptors and addresses are
 * the process's and travel between threads as plain numbers. Calls run on the calling thread and block it as
 * the system call does. None of them calls back: a thread that is ended with a callback outstanding takes the process along.
 */
export interface Ffi {
  /** open(2). */
  open(path: string, flags: number, mode: number): number;
  /** close(2). */
  close(fd: number): number;
  /** fcntl(2) with an integer argument. */
  fcntl(fd: number, command: number, argument: number): number;
  /** read(2) of `buffer.byteLength` bytes. */
  read(fd: number, buffer: ArrayBufferView): number;
  /** write(2) of `buffer.byteLength` bytes. */
  write(fd: number, buffer: ArrayBufferView): number;
  /** ioctl(2) with an integer, or an address, as its argument. */
  ioctl(fd: number, request: number, argument: number): number;
  /** ioctl(2) with a pointer to `buffer` as its argument. */
  ioctlBuffer(fd: number, request: number, buffer: ArrayBufferView): number;
  /** eventfd(2). */
  eventfd(count: number, flags: number): number;
  /** eventfd_write(3): adds `value` without a buffer. */
  eventfdWrite(fd: number, value: number): number;
  /** epoll_create1(2). */
  epollCreate(flags: number): number;
  /** epoll_ctl(2); `event` is one struct epoll_event, or null for EPOLL_CTL_DEL. */
  epollControl(fd: number, operation: number, target: number, event: ArrayBufferView | null): number;
  /** epoll_wait(2); `events` holds `count` structs epoll_event. Blocks up to `timeoutMs`, -1 without end. */
  epollWait(fd: number, events: ArrayBufferView, count: number, timeoutMs: number): number;
  /** poll(2); `fds` holds `count` structs pollfd. Blocks up to `timeoutMs`, -1 without end. */
  poll(fds: ArrayBufferView, count: number, timeoutMs: number): number;
  /** mmap(2) at an address that the kernel chooses; returns that address. */
  mmap(length: number, protection: number, flags: number, fd: number, offset: number): number;
  /** munmap(2). */
  munmap(address: number, length: number): number;
  /** sigprocmask(2) of the calling thread alone; both sets are 128 bytes, either may be null. */
  signalMask(how: number, set: ArrayBufferView | null, old: ArrayBufferView | null): number;
  /** syscall(2) with up to six integers or addresses, for what not every C library wraps. */
  syscall(number: number, ...parameters: readonly number[]): number;
  /** Copies `target.byteLength` bytes from `address`, which must be mapped, to `target`. */
  copyFrom(address: number, target: ArrayBufferView): void;
  /** The address of the first byte of `view`, which the view's buffer keeps as long as it lives. */
  addressOf(view: ArrayBufferView): number;
}

/** Refuses what is no {@link Ffi} before it is called. Throws EINVAL. */
export function checkFfi(ffi: unknown): asserts ffi is Ffi {
  try {
    if (typeof (ffi as Partial<Ffi> | null | undefined)?.fcntl === "function") return;
  } catch {
    // A proxy that does not tell.
  }
  throw new IrqBypassError("EINVAL", `${show(ffi)} that has no system calls was passed: pass ${FFI}`);
}
const FFI = "the C library, as loadFfi() gives it";

/** Flags of open(2), fcntl(2) and mmap(2) that this project uses; the same on x86-64, arm64 and RISC-V. */
export const O_RDWR = 2;
export const O_NONBLOCK = 0o4000;
export const O_CLOEXEC = 0o2000000;
export const F_DUPFD_CLOEXEC = 1030;
export const PROT_READ = 1;
export const MAP_SHARED = 1;
