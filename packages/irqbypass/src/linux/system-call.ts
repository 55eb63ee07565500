/**
 * Numbers of the system calls that C libraries wrap late, or not at all.
 */
import { IrqBypassError } from "../host/errors.js";

/** The table that all architectures since arm64 share (asm-generic/unistd.h). */
const GENERIC = {
  timer_create: 107,
  timer_settime: 110,
  timer_delete: 111,
  tgkill: 131,
  rt_sigtimedwait: 137,
  preadv2: 286,
} as const;

export type SystemCall = keyof typeof GENERIC;

const NUMBERS: Readonly<Record<string, Readonly<Record<SystemCall, number>>>> = {
  x64: {
    rt_sigtimedwait: 128,
    timer_create: 222,
    timer_settime: 223,
    timer_delete: 226,
    tgkill: 234,
    preadv2: 327,
  },
  arm64: GENERIC,
  riscv64: GENERIC,
  loong64: GENERIC,
};

/** The number of a system call on this process's architecture. Throws ENOSYS where it is not known. */
export function systemCall(name: SystemCall): number {
  const number = NUMBERS[process.arch]?.[name];
  if (number !== undefined) return number;
  throw new IrqBypassError("ENOSYS", `the number of ${name}(2) on ${process.arch} is not known here`, {
    syscall: name,
  });
}
