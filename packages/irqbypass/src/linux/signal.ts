/**
 * The signal that ends a blocking system call of one thread.
 *
 * The thread keeps the signal blocked and lets the kernel unblock it only inside the call
 * (KVM_SET_SIGNAL_MASK for KVM_RUN). So a signal that comes early stays pending and ends the next such call at
 * once, and no handler ever runs: the process needs none. It stays pending until the thread takes it: a thread that
 * goes on must, or it would never get past that call again.
 */
import { checked } from "./checked.js";
import type { Ffi } from "./ffi.js";
import { files } from "./node.js";
import { systemCall } from "./system-call.js";

/**
 * A real-time signal: no C library uses it (they keep 32 to 34), and neither does Node (SIGUSR1 is its
 * inspector's, SIGPROF its profiler's).
 */
export const KICK_SIGNAL = 42;

/** Bytes of sigset_t in the C library; the kernel's own set is the first 8. */
const SIGSET_BYTES = 128;
const KERNEL_SIGSET_BYTES = 8;
const SIG_BLOCK = 0;
const ESRCH = 3;

/** Blocks the kick signal in the calling thread, for as long as it lives. */
export function blockKick(ffi: Ffi): void {
  checked(ffi.signalMask(SIG_BLOCK, onlyKick(SIGSET_BYTES), null), "sigprocmask", "this thread");
}

/** The kernel's signal set with everything blocked but the kick signal, 8 bytes. */
export function onlyKickUnblocked(): Uint8Array {
  return onlyKick(KERNEL_SIGSET_BYTES).map((bits) => ~bits);
}

function onlyKick(bytes: number): Uint8Array {
  const set = new Uint8Array(bytes);
  set[(KICK_SIGNAL - 1) >> 3] = 1 << ((KICK_SIGNAL - 1) & 7);
  return set;
}

/** The kernel's id of the calling thread. */
export function threadId(): number {
  const link = files().readlinkSync("/proc/thread-self");
  return Number(link.slice(link.lastIndexOf("/") + 1));
}

/**
 * Sends the kick signal to a thread of this process. False where there is no such thread any more. The thread
 * must have called {@link blockKick}: the signal's default action ends the process.
 */
export function kickThread(ffi: Ffi, tid: number): boolean {
  const result = ffi.syscall(systemCall("tgkill"), process.pid, tid, KICK_SIGNAL);
  if (result === -ESRCH) return false;
  checked(result, "tgkill", `thread ${tid}`);
  return true;
}

/** Makes what takes the kick signals away that are pending in the calling thread: they are queued, so one may not be all. */
export function kickTaker(ffi: Ffi): () => void {
  const number = systemCall("rt_sigtimedwait");
  // Held by the closure: the addresses below are theirs.
  const kept = { set: onlyKick(KERNEL_SIGSET_BYTES), atOnce: new BigInt64Array(2) };
  const set = ffi.addressOf(kept.set);
  const atOnce = ffi.addressOf(kept.atOnce);
  return () => {
    while (ffi.syscall(number, set, 0, atOnce, kept.set.byteLength) > 0);
  };
}
