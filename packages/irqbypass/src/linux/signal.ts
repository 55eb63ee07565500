/**
 * The signal that ends a blocking system call of one thread.
 *
 * The thread keeps the signal blocked and lets the kernel unblock it only inside the call
 * (KVM_SET_SIGNAL_MASK for KVM_RUN). So a signal that comes early stays pending and ends the next such call at
 * once, and no handler ever runs: the process needs none.
 */
import { readlinkSync } from "node:fs";
import { IrqBypassError } from "../host/errors.js";
import { checked } from "./checked.js";
import type { Ffi } from "./ffi.js";

/**
 * A real-time signal: no C library uses it (they keep 32 to 34), and neither does Node (SIGUSR1 is its
 * inspector's, SIGPROF its profiler's).
 */
export const KICK_SIGNAL = 42;

/** Bytes of sigset_t in the C library; the kernel's own set is the first 8. */
const SIGSET_BYTES = 128;
const KERNEL_SIGSET_BYTES = 8;
const SIG_BLOCK = 0;

/** tgkill(2) by architecture; C libraries wrap it only since 2019. */
const TGKILL: Readonly<Record<string, number>> = { x64: 234, arm64: 131, riscv64: 131, loong64: 131 };

/** Blocks the kick signal in the calling thread, for as long as it lives. */
export function blockKick(ffi: Ffi): void {
  const set = new Uint8Array(SIGSET_BYTES);
  set[(KICK_SIGNAL - 1) >> 3] = 1 << ((KICK_SIGNAL - 1) & 7);
  checked(ffi.signalMask(SIG_BLOCK, set, null), "sigprocmask", "this thread");
}

/** The kernel's signal set with everything blocked but the kick signal, 8 bytes. */
export function onlyKickUnblocked(): Uint8Array {
  const set = new Uint8Array(KERNEL_SIGSET_BYTES).fill(0xff);
  set[(KICK_SIGNAL - 1) >> 3] = ~(1 << ((KICK_SIGNAL - 1) & 7)) & 0xff;
  return set;
}

/** The kernel's id of the calling thread. */
export function threadId(): number {
  const link = readlinkSync("/proc/thread-self");
  return Number(link.slice(link.lastIndexOf("/") + 1));
}

/**
 * Sends the kick signal to a thread of this process. False where there is no such thread any more. The thread
 * must have called {@link blockKick}: the signal's default action ends the process.
 */
export function kickThread(ffi: Ffi, tid: number): boolean {
  const number = TGKILL[process.arch];
  if (number === undefined) {
    throw new IrqBypassError("ENOSYS", `the number of tgkill(2) on ${process.arch} is not known here`, {
      syscall: "tgkill",
    });
  }
  const result = ffi.syscall(number, process.pid, tid, KICK_SIGNAL);
  const ESRCH = 3;
  if (result === -ESRCH) return false;
  checked(result, "tgkill", `thread ${tid}`);
  return true;
}
