/**
 * The doctor's own error: thrown when it refuses to start or cannot go on. What a host does not show is never an
 * error but a {@link Reading} of the state "absent", "unreadable" or "strange".
 */

import { visible } from "./visible.js";

/** errno codes that the doctor refuses with. */
export type DoctorErrorCode =
  | "EINVAL"
  | "ENOENT"
  | "E2BIG"
  | "EFBIG"
  | "ELOOP"
  | "EACCES"
  | "EBUSY"
  | "EEXIST"
  | "EIO"
  | "EINTR"
  | "ENOSYS"
  | "EPERM";

/**
 * A refusal: `code` as a Linux caller would see it, and a sentence that names the object and says what to do. The
 * sentence may be printed anywhere: what it quotes of others' names is made visible.
 */
export class DoctorError extends Error {
  /** The errno code, as a word. */
  readonly code: DoctorErrorCode;

  /**
   * The message is `code: message`, with what cannot be printed made visible.
   *
   * @example
   * ```ts
   * import { DoctorError } from "irqbypass-doctor";
   *
   * const error = new DoctorError("ENOENT", "there is no VM 4711: pass one of those that run");
   * console.log(error.code); // ENOENT
   * ```
   */
  constructor(code: DoctorErrorCode, message: string, cause?: unknown) {
    super(visible(`${code}: ${message}`), cause === undefined ? undefined : { cause });
    this.name = "DoctorError";
    this.code = code;
  }
}

/** Thrown by a parser for a text that is not of the format it knows; the reader turns it into a "strange" reading. */
export class FormatError extends Error {
  constructor(problem: string) {
    super(problem);
    this.name = "FormatError";
  }
}
