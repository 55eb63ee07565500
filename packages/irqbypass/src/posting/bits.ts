import { isOf, reading, show } from "../host/argument.js";
import { IrqBypassError } from "../host/errors.js";
import { PIR_WORDS } from "../host/layout.js";

/** Where interrupts are taken to: bit n of the eight words is id n. */
export type Bits = Uint32Array | Int32Array;

/** Throws EINVAL for what `call` cannot fill. */
export function checkBits(into: unknown, call: string): asserts into is Bits {
  // A proxy of one is no view.
  if (!ArrayBuffer.isView(into) || !(isOf(into, Uint32Array) || isOf(into, Int32Array))) {
    throw new IrqBypassError("EINVAL", `${call} fills a Uint32Array or an Int32Array, not ${show(into)}`);
  }
  const length = reading("a plain Uint32Array or Int32Array", () => into.length);
  if (length < PIR_WORDS) {
    throw new IrqBypassError(
      "EINVAL",
      `${call} needs ${PIR_WORDS} words, one bit for each vector, not ${length}`,
    );
  }
}
