/**
 * The one error of the library, and the codes it carries.
 */
import { nearest } from "./spelling.js";

/** Linux errno values of the codes that this library throws or passes on. */
export const ERRNO = {
  EPERM: 1,
  ENOENT: 2,
  EINTR: 4,
  EIO: 5,
  ENXIO: 6,
  E2BIG: 7,
  EBADF: 9,
  EAGAIN: 11,
  ENOMEM: 12,
  EACCES: 13,
  EFAULT: 14,
  EBUSY: 16,
  EEXIST: 17,
  EXDEV: 18,
  ENODEV: 19,
  EINVAL: 22,
  ENFILE: 23,
  EMFILE: 24,
  ENOTTY: 25,
  ENOSPC: 28,
  EDEADLK: 35,
  ENOSYS: 38,
  EOVERFLOW: 75,
  EOPNOTSUPP: 95,
  ENOBUFS: 105,
  ETIMEDOUT: 110,
  ESTALE: 116,
  EUCLEAN: 117,
} as const;

/** A Linux errno code, as "EBUSY". */
export type ErrorCode = keyof typeof ERRNO;

/** What an error can say beside its code and its sentence. */
export interface ErrorDetails {
  /** The object that refused: which eventfd, vector, VM. */
  readonly subject?: string;
  /** The end whose callback refused a connection. */
  readonly side?: "producer" | "consumer";
  /** Why the interrupt cannot be bypassed, where that is what was refused; see {@link Reason}. */
  readonly reason?: string;
  /** The system call that failed. */
  readonly syscall?: string;
  /** What it comes of. */
  readonly cause?: unknown;
}

/**
 * Thrown for every refusal. The message names the object and says what to do; `code` and `errno` are those a
 * Linux caller would see. `path` and `reason` of an interrupt are values, never errors.
 */
export class IrqBypassError extends Error {
  /** The errno code, as "EBUSY". */
  readonly code: ErrorCode;
  /** The negative errno value, as the kernel returns it: -16 for EBUSY. */
  readonly errno: number;
  /** The object that refused; see {@link ErrorDetails}, as for the other three. */
  readonly subject: string | undefined;
  /** The end whose callback refused. */
  readonly side: "producer" | "consumer" | undefined;
  /** Why it cannot be bypassed. */
  readonly reason: string | undefined;
  /** The system call that failed. */
  readonly syscall: string | undefined;

  /**
   * Throws an EINVAL of its own for a code that is none, a message that is no string, and details that are none.
   *
   * @example
   * ```ts
   * import { IrqBypassError } from "irqbypass";
   *
   * const error = new IrqBypassError("EBUSY", "eventfd 3 has a producer already", { subject: "eventfd 3" });
   * console.log(error.code, error.errno); // EBUSY -16
   * ```
   */
  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}) {
    const fault = faultOf(code, message, details);
    if (fault !== undefined) throw new IrqBypassError("EINVAL", fault);
    super(`${code}: ${message}`, details.cause === undefined ? undefined : { cause: details.cause });
    this.name = "IrqBypassError";
    this.code = code;
    this.errno = -ERRNO[code];
    this.subject = details.subject;
    this.side = details.side;
    this.reason = details.reason;
    this.syscall = details.syscall;
  }
}

const TEXTS = ["subject", "side", "reason", "syscall"] as const;

function faultOf(code: unknown, message: unknown, details: unknown): string | undefined {
  if (typeof code !== "string" || !Object.hasOwn(ERRNO, code))
    return `an IrqBypassError has an errno code: one of ${Object.keys(ERRNO).join(", ")}`;
  if (typeof message !== "string") return "an IrqBypassError has a sentence";
  if (typeof details !== "object" || details === null) return DETAILS;
  try {
    return faultOfDetails(details);
  } catch {
    return DETAILS; // it throws where it is read
  }
}

const DETAILS = "an IrqBypassError has details such as { subject }, or none";

function faultOfDetails(details: object): string | undefined {
  const known = [...TEXTS, "cause"];
  for (const [name, value] of Object.entries(details)) {
    if (!known.includes(name))
      return `an IrqBypassError has no such detail: did you mean ${nearest(name, known)}? There are ${known.join(", ")}`;
    if (name !== "cause" && value !== undefined && typeof value !== "string")
      return `${name} of an IrqBypassError is a word, or left out`;
  }
  return undefined;
}

/** The code of an errno value of either sign; EIO for one that is not in the table. */
export function errorCode(errno: number): ErrorCode {
  const wanted = Math.abs(errno);
  for (const [code, value] of Object.entries(ERRNO)) if (value === wanted) return code as ErrorCode;
  return "EIO";
}

/** A call that would sleep in a thread that may not: EAGAIN, which names the asynchronous form. */
export function wouldBlock(subject: string, instead: string): IrqBypassError {
  return new IrqBypassError("EAGAIN", `${subject} would block, and this thread may not: use ${instead}`, {
    subject,
  });
}

/**
 * Throws EUCLEAN: an internal invariant does not hold. That is a defect of the library, or memory that something else wrote
 * to; `host.audit()` tells more. No catch may take it for a refusal.
 */
export function broken(what: string): never {
  throw new IrqBypassError("EUCLEAN", `broken invariant: ${what}; host.audit() says what else is wrong`);
}
