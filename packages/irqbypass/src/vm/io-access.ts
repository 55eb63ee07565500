/**
 * What an ioeventfd takes, and what a store is, looked at where they come in. Addresses and values are numbers of 64 bits: as a
 * number where that is exact, else as a bigint; here and in tables always the one of the two that fits.
 */
import { type OptionNames, readOptions, show } from "../host/argument.js";
import { IrqBypassError } from "../host/errors.js";
import { Ioeventfd as I, IoFlag } from "../host/layout.js";
import type { Words } from "../host/words.js";

/** Which of a VM's buses an address is on: that of memory, or that of ports (KVM_IOEVENTFD_FLAG_PIO). */
export type IoSpace = "mmio" | "pio";

/** Which stores of the guest an ioeventfd takes (struct kvm_ioeventfd). */
export interface IoeventfdOptions {
  /** Where it is: 0 to 2^64-1, a bigint from 2^53 on. A port may be larger than 16 bits, as in the kernel. */
  readonly address: number | bigint;
  /** How many bytes the store has: 1, 2, 4 or 8; 0, the default, takes a store of any length. */
  readonly length?: 0 | 1 | 2 | 4 | 8;
  /** Takes stores of this value alone: 0 to 2^64-1, of which a shorter store can bring the lower ones only. If absent, any. */
  readonly datamatch?: number | bigint;
  /** "mmio" (the default) or "pio". */
  readonly space?: IoSpace;
}

/** A number of 64 bits without a sign: a number up to 2^53-1, a bigint above. So equal ones are the same key of a Map. */
export type Wide = number | bigint;

/** What an ioeventfd takes, checked. */
export interface Doorbell {
  readonly space: IoSpace;
  readonly address: Wide;
  readonly length: number;
  readonly match: Wide | undefined;
}

export const IO_SPACES: readonly IoSpace[] = ["mmio", "pio"];
const IOEVENTFD: OptionNames<IoeventfdOptions> = {
  address: true,
  length: true,
  datamatch: true,
  space: true,
};
const TEXT = "what it takes, such as { address: 0xfe000000, length: 4 }";
const LENGTHS: readonly number[] = [0, 1, 2, 4, 8];
const END = 2n ** 64n;

/**
 * What the caller of an assign asks for (kvm_assign_ioeventfd, in its order). Throws EINVAL for a length that no store has, for a range
 * that does not end below 2^64, and for a value to match without a length.
 */
export function checkAssign(options: IoeventfdOptions): Doorbell {
  const doorbell = checkDoorbell(options);
  const { address, length, match } = doorbell;
  if (!LENGTHS.includes(length)) {
    throw new IrqBypassError("EINVAL", `length is ${length}: a store has 1, 2, 4 or 8 bytes, and 0 is any`);
  }
  if (length > 0 && BigInt(address) + BigInt(length) >= END) {
    throw new IrqBypassError(
      "EINVAL",
      `the ${length} bytes at ${hex(address)} do not end below 2^64: give a lower address`,
    );
  }
  if (length === 0 && match !== undefined) {
    throw new IrqBypassError(
      "EINVAL",
      "a datamatch needs a length of 1, 2, 4 or 8: give that, or no datamatch",
    );
  }
  return doorbell;
}

/** The same for a deassign, which finds what there is: the kernel looks at nothing but types there. */
export function checkDoorbell(options: IoeventfdOptions): Doorbell {
  const { address, space = "mmio", length = 0, datamatch } = readOptions(options, IOEVENTFD, TEXT);
  checkSpace(space);
  if (!Number.isInteger(length) || length < 0 || length >= 2 ** 32) {
    throw new IrqBypassError(
      "EINVAL",
      `length is ${show(length)}: a store has 1, 2, 4 or 8 bytes, and 0 is any`,
    );
  }
  return {
    space,
    address: checkWide(address, "address"),
    length,
    match: datamatch === undefined ? undefined : checkWide(datamatch, "datamatch"),
  };
}

/** Refuses a bus that a VM does not have: virtio-ccw's, which KVM_IOEVENTFD has a flag for, is no guest's here. */
export function checkSpace(space: unknown): asserts space is IoSpace {
  if (IO_SPACES.includes(space as IoSpace)) return;
  throw new IrqBypassError("EINVAL", `space is ${show(space)}: use "mmio" or "pio"`);
}

/** A number of 64 bits that was passed. Throws EINVAL for any other, and for a number that may not be exact. */
export function checkWide(value: unknown, name: string): Wide {
  const found = typeof value === "bigint" ? value : Number.isSafeInteger(value) ? (value as number) : -1;
  if (found >= 0 && found < END) return narrow(found);
  throw new IrqBypassError(
    "EINVAL",
    `${name} is ${show(value)}: it must be a whole number from 0 to 2^64-1, and from 2^53 on a bigint`,
  );
}

/** The longest store; what is longer arrives in parts. */
export const LONGEST = 8;

/** The length of a store. Throws EINVAL for one that no store has. */
export function checkLength(length: unknown): void {
  if (typeof length === "number" && length >= 1 && length <= LONGEST && Math.floor(length) === length) return;
  throw new IrqBypassError(
    "EINVAL",
    `length is ${show(length)}: a store has 1 to ${LONGEST} bytes, pass a longer one in parts`,
  );
}

/**
 * The value that a store of `length` bytes brings: what is passed is taken as those bytes, with or without a sign. Throws EINVAL for
 * what does not fit them.
 */
export function checkValue(value: unknown, length: number): Wide {
  const found = typeof value === "bigint" || Number.isSafeInteger(value) ? BigInt(value as Wide) : END;
  const end = 1n << BigInt(8 * length);
  if (found < end && found >= -end / 2n) return narrow(BigInt.asUintN(8 * length, found));
  throw new IrqBypassError("EINVAL", `value is ${show(value)}: it must be a whole number of ${length} bytes`);
}

/** Of a number of 64 bits that is a number or a bigint, the one that it is as a {@link Wide}. */
function narrow(value: Wide): Wide {
  return value <= Number.MAX_SAFE_INTEGER ? Number(value) : value;
}

/** As a sentence and JSON show an address. */
export function hex(value: Wide): string {
  return `0x${value.toString(16)}`;
}

/** What an ioeventfd's record says. */
export function readDoorbell(words: Words, record: number): Doorbell {
  const takes = words.get(record + I.takes);
  return {
    space: takes & IoFlag.pio ? "pio" : "mmio",
    length: takes & IoFlag.lengthMask,
    address: readWide(words, record + I.addressLow),
    match: takes & IoFlag.match ? readWide(words, record + I.matchLow) : undefined,
  };
}

/** The mirror image, into a record of nobody yet. */
export function writeDoorbell(
  words: Words,
  record: number,
  { space, address, length, match }: Doorbell,
): void {
  const flags = (space === "pio" ? IoFlag.pio : 0) | (match === undefined ? 0 : IoFlag.match);
  words.set(record + I.takes, length | flags);
  writeWide(words, record + I.addressLow, address);
  writeWide(words, record + I.matchLow, match ?? 0);
}

function readWide(words: Words, low: number): Wide {
  const high = words.get(low + 1) >>> 0;
  const rest = words.get(low) >>> 0;
  return high < 2 ** 21 ? high * 2 ** 32 + rest : (BigInt(high) << 32n) | BigInt(rest);
}

function writeWide(words: Words, low: number, value: Wide): void {
  const wide = BigInt(value);
  words.set(low, Number(wide & 0xffff_ffffn) | 0);
  words.set(low + 1, Number(wide >> 32n) | 0);
}
