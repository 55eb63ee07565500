/**
 * The one error of the library, and the codes it carries.
 */

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
  ENODEV: 19,
  EINVAL: 22,
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
  readonly cause?: unknown;
}

/**
 * Thrown for every refusal. The message names the object and says what to do; `code` and `errno` are those a
 * Linux caller would see. `path` and `reason` of an interrupt are values, never errors.
 */
export class IrqBypassError extends Error {
  readonly code: ErrorCode;
  /** The negative errno value, as the kernel returns it: -16 for EBUSY. */
  readonly errno: number;
  readonly subject: string | undefined;
  readonly side: "producer" | "consumer" | undefined;
  readonly reason: string | undefined;
  readonly syscall: string | undefined;

  /** Throws an EINVAL of its own for a code that is none, a message that is no string, and details that are no object. */
  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}) {
    if (
      typeof code !== "string" ||
      !Object.hasOwn(ERRNO, code) ||
      typeof message !== "string" ||
      details === null
    ) {
      throw new IrqBypassError(
        "EINVAL",
        "an IrqBypassError has an errno code, a sentence, and details or none",
      );
    }
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

/** The code of an errno value of either sign; EIO for one that is not in the table. */
export function errorCode(errno: number): ErrorCode {
  const wanted = Math.abs(errno);
  for (const [code, value] of Object.entries(ERRNO)) if (value === wanted) return code as ErrorCode;
  return "EIO";
}

/**
 * Throws EUCLEAN: an internal invariant does not hold. That is a defect of the library, or memory that something else wrote
 * to; `host.audit()` tells more. No catch may take it for a refusal.
 */
export function broken(what: string): never {
  throw new IrqBypassError("EUCLEAN", `broken invariant: ${what}; host.audit() says what else is wrong`);
}
