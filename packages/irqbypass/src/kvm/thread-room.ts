/**
 * Whether this process can start threads: a worker that finds no descriptor says so when its owner has long been told that it
 * runs.
 */
import { IrqBypassError } from "../host/errors.js";
import { F_DUPFD_CLOEXEC, type Ffi } from "../linux/ffi.js";

/** What a worker has open while it starts is five or six: its event loop, its ways to be woken, and a file that it reads. */
const DESCRIPTORS = 8;

/** Throws EMFILE where there are not so many descriptors left as that many threads take. `fd` is any that is open. */
export function checkThreadRoom(ffi: Ffi, fd: number, threads: number, subject: string): void {
  const needed = threads * DESCRIPTORS;
  const taken: number[] = [];
  while (taken.length < needed) {
    const one = ffi.fcntl(fd, F_DUPFD_CLOEXEC, 0);
    if (one < 0) break;
    taken.push(one);
  }
  for (const one of taken) ffi.close(one);
  if (taken.length === needed) return;
  throw new IrqBypassError(
    "EMFILE",
    `${subject} cannot start: ${threads === 1 ? "its thread takes" : "its threads take"} up to ${needed} descriptors, and this ` +
      `process has ${taken.length} left: close some, or raise its limit (RLIMIT_NOFILE, ulimit -n)`,
    { subject },
  );
}
