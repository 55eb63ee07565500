/**
 * What goes into a call of {@link Ffi} as a descriptor, and what comes out of it, as a value or an error.
 */
import { show } from "../host/argument.js";
import { ERRNO, errorCode, IrqBypassError } from "../host/errors.js";
import { errorNames } from "./node.js";

/** No descriptor is larger: the kernel has an int for it, and cuts what is passed to that. */
const MAX_FD = 2 ** 31 - 1;

/** Throws EINVAL for what is no number, and EBADF for a number that no descriptor can have. */
export function checkDescriptor(value: unknown, name = ""): asserts value is number {
  if (typeof value === "number" && Number.isInteger(value) && value >= 0 && value <= MAX_FD) return;
  throw new IrqBypassError(
    typeof value === "number" ? "EBADF" : "EINVAL",
    `${name}${show(value)} is not a file descriptor: pass the number that open or eventfd returned`,
  );
}

/** What to do where the process may open no more. */
export const NO_DESCRIPTOR =
  "this process has no descriptor left: close some, or raise its limit (RLIMIT_NOFILE, ulimit -n)";

/**
 * Returns `result` where it is 0 or more; throws an IrqBypassError that names the call and the object where it
 * is a negative errno value. `advice` is a sentence for the reader of the message.
 */
export function checked(result: number, syscall: string, subject: string, advice = ""): number {
  if (result >= 0) return result;
  const name = `${errorNames().getSystemErrorName(result)} (errno ${-result})`;
  const more = [advice, result === -ERRNO.EMFILE ? NO_DESCRIPTOR : ""].filter((one) => one !== "");
  const tail = more.map((one) => `; ${one}`).join("");
  throw new IrqBypassError(errorCode(result), `${syscall} on ${subject} failed with ${name}${tail}`, {
    syscall,
    subject,
  });
}
