/**
 * What the kernel says of an eventfd descriptor, in /proc/self/fdinfo.
 */
import { errorCode, IrqBypassError } from "../host/errors.js";
import { checkDescriptor, NO_DESCRIPTOR } from "./checked.js";
import { O_NONBLOCK } from "./ffi.js";
import { checkNode, files } from "./node.js";

/** What the kernel says of an eventfd descriptor. */
export interface EventfdInfo {
  /** Equal for two descriptors exactly when they are one eventfd. */
  readonly id: number;
  /** The counter now. Reading it here takes nothing. */
  readonly count: bigint;
  /** A read takes 1 instead of all. */
  readonly semaphore: boolean;
  /** Reads of 0 and writes without room fail with EAGAIN instead of sleeping. A flag of all dups together. */
  readonly nonblocking: boolean;
}

/**
 * Reads the lines of /proc/self/fdinfo for an eventfd. Throws EINVAL where they are of another kind of file,
 * ENOSYS where the kernel gives no id (before 5.2), ENOSPC where it had none left (-1).
 */
export function parseEventfdInfo(text: string, subject: string): EventfdInfo {
  const field = (name: string): string | undefined =>
    new RegExp(`^${name}:[ \t]*(\\S+)$`, "m").exec(text)?.[1];
  const count = field("eventfd-count");
  if (count === undefined) throw noEventfd(subject);
  const id = field("eventfd-id");
  if (id === undefined) {
    throw new IrqBypassError(
      "ENOSYS",
      `${subject} has no eventfd-id in its fdinfo, so it cannot be told from others; Linux 5.2 or newer is needed`,
      { subject },
    );
  }
  if (!/^\d+$/.test(id)) {
    throw new IrqBypassError(
      "ENOSPC",
      `${subject} has eventfd-id ${id}: the kernel had no id for it, so it cannot be told from others; close other eventfds and create it again`,
      { subject },
    );
  }
  return {
    id: Number(id),
    count: BigInt(`0x${count}`),
    semaphore: field("eventfd-semaphore") === "1",
    nonblocking: (Number.parseInt(field("flags") ?? "0", 8) & O_NONBLOCK) !== 0,
  };
}

/**
 * What the kernel says of descriptor `fd`. Throws EBADF where it is not open, EMFILE or ENFILE where no descriptor is free to
 * look at it with, EINVAL where it is of another kind of file, ENOSYS where the kernel gives no id (before 5.2), ENOSPC where it had
 * none left, and where there is no Node.js.
 */
export function eventfdInfo(fd: number): EventfdInfo {
  return infoOf(fd);
}

/** The same, with the name that the caller has for it: of a dup, the number that was given. */
export function infoOf(fd: number, name?: string): EventfdInfo {
  checkDescriptor(fd);
  checkNode("a descriptor needs");
  const subject = name ?? `fd ${fd}`;
  let text: string;
  try {
    text = files().readFileSync(`/proc/self/fdinfo/${fd}`, "latin1");
  } catch (cause) {
    const { code, errno = 0 } = cause as NodeJS.ErrnoException;
    if (code === "ENOENT") throw new IrqBypassError("EBADF", `${subject} is not open`, { subject, cause });
    throw new IrqBypassError(
      errorCode(errno),
      `${subject} cannot be looked at: /proc/self/fdinfo/${fd} does not open (${code})${code === "EMFILE" ? `; ${NO_DESCRIPTOR}` : ""}`,
      { subject, syscall: "open", cause },
    );
  }
  if (!text.includes("eventfd-count:")) throw noEventfd(subject, ` but ${fileOf(fd)}`);
  return parseEventfdInfo(text, subject);
}

function noEventfd(subject: string, but = ""): IrqBypassError {
  const text = `${subject} is not an eventfd${but}: pass a descriptor made by eventfd(2)`;
  return new IrqBypassError("EINVAL", text, { subject });
}

/** What a descriptor is of: a path, "socket:[1234]", "anon_inode:[eventpoll]". */
function fileOf(fd: number): string {
  try {
    return files().readlinkSync(`/proc/self/fd/${fd}`);
  } catch {
    return "something else";
  }
}
