/**
 * Turns the result of a call of {@link Ffi} into a value or an error.
 */
import { getSystemErrorName } from "node:util";
import { ERRNO, errorCode, IrqBypassError } from "../host/errors.js";

/** What to do where the process may open no more. */
export const NO_DESCRIPTOR =
  "this process has no descriptor left: close some, or raise its limit (RLIMIT_NOFILE, ulimit -n)";

/**
 * Returns `result` where it is 0 or more; throws an IrqBypassError that names the call and the object where it
 * is a negative errno value. `advice` is a sentence for the reader of the message.
 */
export function checked(result: number, syscall: string, subject: string, advice = ""): number {
  if (result >= 0) return result;
  const name = `${getSystemErrorName(result)} (errno ${-result})`;
  const more = [advice, result === -ERRNO.EMFILE ? NO_DESCRIPTOR : ""].filter((one) => one !== "");
  const tail = more.map((one) => `; ${one}`).join("");
  throw new IrqBypassError(errorCode(result), `${syscall} on ${subject} failed with ${name}${tail}`, {
    syscall,
    subject,
  });
}
