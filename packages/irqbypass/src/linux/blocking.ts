/**
 * Waits for eventfds that do not call the kernel for longer than a moment: what a thread is to end by does not reach into a
 * system call, and the thread that created a host has wishes of others to see to.
 */
import { MAX_COUNT } from "../eventfd/signal.js";
import { ERRNO, IrqBypassError } from "../host/errors.js";
import { eventfdInfo } from "./eventfd-info.js";
import type { Ffi } from "./ffi.js";
import { systemCall } from "./system-call.js";

export const POLLIN = 1;
const POLLOUT = 4;
/** No descriptor: poll(2) passes over it. */
export const NONE = -1;
const RWF_NOWAIT = 8;
/** For how long a system call blocks a thread at most. */
export const SLICE_MS = 50;

/** Sleeps until `fd` is ready for `events` of poll(2), or for a moment; false where the wait is to end. */
export type Sleep = (fd: number, events: number) => boolean;

/** Sleeps until it is ready, whatever comes. */
export const patiently = (ffi: Ffi): Sleep => {
  return (fd, events) => {
    isReady(ffi, fd, events, SLICE_MS);
    return true;
  };
};

/** Waits until `fd` can be read, at most `timeoutMs`. May return early. */
export function untilReadable(ffi: Ffi, fd: number, timeoutMs: number): void {
  isReady(ffi, fd, POLLIN, timeoutMs);
}

/** Waits until `fd` is ready for `events`, at most `timeoutMs`. Has `kick`, or {@link NONE}, ended that? May return early. */
export function untilReady(ffi: Ffi, fd: number, events: number, kick: number, timeoutMs: number): boolean {
  const pollfds = new Int32Array([fd, events, kick, POLLIN]);
  return ffi.poll(pollfds, 2, Math.ceil(timeoutMs)) > 0 && pollfds[3]! >>> 16 !== 0;
}

/**
 * Reads a blocking eventfd, and sleeps until there is something. Where another reader was faster it waits again; before Linux 5.8 in
 * read(2).
 */
export function readBlocking(ffi: Ffi, fd: number, into: BigUint64Array): number {
  for (;;) {
    const result = readNow(ffi, fd, into);
    if (isNotRead(result)) return ffi.read(fd, into);
    if (result !== -ERRNO.EAGAIN) return result;
    untilReadable(ffi, fd, SLICE_MS);
  }
}

/** A read that does not sleep, whatever the descriptor says (preadv2); where the kernel has none, {@link isNotRead} of its result. */
export function readNow(ffi: Ffi, fd: number, into: ArrayBufferView): number {
  const vector = new BigUint64Array([BigInt(ffi.addressOf(into)), BigInt(into.byteLength)]);
  const here = -1;
  return ffi.syscall(systemCall("preadv2"), fd, ffi.addressOf(vector), 1, here, here, RWF_NOWAIT);
}

/** Was nothing read because the kernel has no such read of an eventfd? Linux has it from 5.8 on. */
export function isNotRead(result: number): boolean {
  return result === -ERRNO.EOPNOTSUPP || result === -ERRNO.ENOSYS;
}

/** Does the kernel have it? Takes nothing: the read is too short for a count. */
export function canReadNow(ffi: Ffi, fd: number): boolean {
  return !isNotRead(readNow(ffi, fd, new Uint8Array(1)));
}

/** What an eventfd is refused for that blocks where it is not to, and the kernel knows no other way. EINVAL. */
export function mustNotBlock(name: string): IrqBypassError {
  return new IrqBypassError(
    "EINVAL",
    `${name} was made without EFD_NONBLOCK, and this kernel reads it in no other way (Linux 5.8 does): make it non-blocking`,
    { subject: name },
  );
}

/** Sleeps until a blocking eventfd has room for `value`; false where `sleep` ends it. */
export function untilRoom(ffi: Ffi, fd: number, value: bigint, sleep: Sleep): boolean {
  const told = value === 1n ? fd : NONE; // nothing tells of room for more than one
  while (!hasRoom(ffi, fd, value)) if (!sleep(told, POLLOUT)) return false;
  return true;
}

/** Can `fd` be read now? */
export function isReadable(ffi: Ffi, fd: number): boolean {
  return isReady(ffi, fd, POLLIN, 0);
}

/** Is there no room for one more in a counter? Waits for nobody. */
export function isFull(ffi: Ffi, fd: number): boolean {
  return !isReady(ffi, fd, POLLOUT, 0);
}

/** Does a write of `value` return at once, as far as nobody else writes? */
export function hasRoom(ffi: Ffi, fd: number, value: bigint): boolean {
  if (value === 0n || value > MAX_COUNT) return true; // the kernel refuses what is too large
  return value === 1n ? !isFull(ffi, fd) : eventfdInfo(fd).count + value <= MAX_COUNT;
}

function isReady(ffi: Ffi, fd: number, events: number, timeoutMs: number): boolean {
  const pollfd = new Int32Array([fd, events]); // struct pollfd: the events, then what came of them, 16 bits each
  return ffi.poll(pollfd, 1, Math.ceil(timeoutMs)) !== 0;
}
