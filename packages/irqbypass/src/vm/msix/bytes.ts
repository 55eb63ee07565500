import { checkObject, reading, show } from "../../host/argument.js";
import { IrqBypassError } from "../../host/errors.js";

const MOST_BYTES = 4096;
const BYTES_TEXT = "bytes, such as new Uint8Array(4)";

/** A part of a device's memory, as the guest's loads and stores reach it. */
export interface MsixBytes {
  /** How many bytes there are; what is beyond them reads as ones, and a store there changes nothing. */
  readonly length: number;
  /** A load of `length` bytes, 1 to 4096. Throws EINVAL for what is no place. */
  read(offset: number, length: number): Uint8Array;
  /** A store of 1 to 4096 bytes: all of it, or none where it is refused. Throws EINVAL for what is no place, and for what are no bytes. */
  write(offset: number, bytes: ArrayLike<number>): void;
}

/**
 * A load of a part that has `size` bytes, which `part` gives from one place to another. What is not there is all ones, as a bus has it
 * that nobody answers on.
 */
export function loadBytes(
  size: number,
  offset: number,
  length: number,
  part: (from: number, to: number) => Uint8Array,
): Uint8Array {
  checkPlace(offset);
  if (!Number.isInteger(length) || length < 1 || length > MOST_BYTES)
    throw new IrqBypassError("EINVAL", `length is ${show(length)}: a load has 1 to ${MOST_BYTES} bytes`);
  const bytes = new Uint8Array(length).fill(0xff);
  if (offset < size) bytes.set(part(offset, Math.min(offset + length, size)));
  return bytes;
}

function checkPlace(offset: number): void {
  if (Number.isSafeInteger(offset) && offset >= 0) return;
  throw new IrqBypassError("EINVAL", `offset is ${show(offset)}: it must be a whole number from 0 on`);
}

/** The bytes of a store. */
export function checkBytes(offset: number, given: ArrayLike<number>): Uint8Array {
  checkPlace(offset);
  checkObject(given, BYTES_TEXT);
  const bytes = reading(BYTES_TEXT, () => {
    const { length } = given as Partial<ArrayLike<number>>;
    if (length === undefined)
      throw new IrqBypassError(
        "EINVAL",
        `${show(given)} has no bytes one by one: pass ${BYTES_TEXT}, or an array`,
      );
    if (!Number.isInteger(length) || length < 1 || length > MOST_BYTES)
      throw new IrqBypassError("EINVAL", `${show(length)} bytes were passed: a store has 1 to ${MOST_BYTES}`);
    return Array.from(given);
  });
  const isByte = (byte: unknown) =>
    Number.isInteger(byte) && (byte as number) >= 0 && (byte as number) <= 0xff;
  const wrong = bytes.findIndex((byte) => !isByte(byte));
  if (wrong >= 0) throw new IrqBypassError("EINVAL", `${show(bytes[wrong])} is no byte: pass ${BYTES_TEXT}`);
  return Uint8Array.from(bytes);
}
