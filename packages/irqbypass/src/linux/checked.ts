/**
 * Turns the result of a call of {@link Ffi} into a value or an error.
 */
import { getSystemErrorName } from "node:util";
import { errorCode, IrqBypassError } from "../host/errors.js";

/**
 * Returns `result` where it is 0 or more; throws an IrqBypassError that names the call and the object where it
 * is a negative errno value. `advice` is a sentence for the reader of the message.
 */
export function checked(result: number, syscall: string, subject: string, advice = ""): number {
  if (result >= 0) return result;
  const name = `${getSystemErrorName(result)} (errno ${-result})`;
  const tail = advice === "" ? "" : `; ${advice}`;
  throw new IrqBypassError(errorCode(result), `${syscall} on ${subject} failed with ${name}${tail}`, {
    syscall,
    subject,
  });
}
