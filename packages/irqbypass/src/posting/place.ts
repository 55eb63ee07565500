/** Where an interrupt file is: the memory and the place in it that a caller names, looked at before anything is done there. */
import { isOf, show } from "../host/argument.js";
import { IrqBypassError } from "../host/errors.js";
import { Descriptor, LINE, PIR_WORDS } from "../host/layout.js";
import { sharedBuffer } from "../host/reserve.js";
import { isMemory, type WasmMemory } from "../host/wasm.js";
import { WORD_BYTES } from "../host/words.js";

/** A memory that threads share, and compiled code too where it is WebAssembly's. */
export type FileMemory = WasmMemory | SharedArrayBuffer;

/** Why a wait for an interrupt file ended; "suspended": its owner has gone, perhaps to another thread. */
export type FileWake = "interrupt" | "event" | "kicked" | "timeout" | "suspended";

const FILE_BYTES = Descriptor.words * WORD_BYTES;

/** A WebAssembly.Memory that another thread may have grown. */
interface Growing {
  grow(pages: number): number;
}

/** The bytes that have room for a file at `byteOffset`. Throws EINVAL, ENOMEM for none, and EOPNOTSUPP where threads share no memory. */
export function fileBuffer(memory: unknown, byteOffset: unknown): SharedArrayBuffer {
  const buffer = bytesOf(memory);
  if (
    !Number.isSafeInteger(byteOffset) ||
    (byteOffset as number) < 0 ||
    (byteOffset as number) % (LINE * WORD_BYTES)
  ) {
    throw new IrqBypassError(
      "EINVAL",
      `byteOffset is ${show(byteOffset)}: it counts bytes, and must be a multiple of ${LINE * WORD_BYTES}`,
    );
  }
  const end = (byteOffset as number) + FILE_BYTES;
  if (end <= buffer.byteLength) return buffer;
  const now = grownBytes(memory);
  if (end <= now.byteLength) return now;
  throw new IrqBypassError(
    "ENOMEM",
    `an interrupt file at byteOffset ${byteOffset} takes ${FILE_BYTES} bytes, and the memory has ${now.byteLength}: grow it, or use another place`,
  );
}

/**
 * Throws EINVAL where compiled code has no eight words at an address of its memory to harvest into: what is harvested already would
 * be lost.
 */
export function checkInto(memory: WasmMemory, address: number): void {
  const end = address + PIR_WORDS * WORD_BYTES;
  const aligned = address % WORD_BYTES === 0;
  if (aligned && (end <= memory.buffer.byteLength || end <= grownBytes(memory).byteLength)) return;
  throw new IrqBypassError(
    "EINVAL",
    `there are no ${PIR_WORDS} words at address ${address} to harvest into: give that of an array of them, within the memory`,
  );
}

/** What another thread has grown, this one may not have heard of: growing by nothing asks. */
function grownBytes(memory: unknown): SharedArrayBuffer {
  if (isMemory(memory)) (memory as unknown as Growing).grow(0);
  return bytesOf(memory);
}

/** Is it one, and no proxy or object that only says so? */
function isSharedBuffer(value: unknown): value is SharedArrayBuffer {
  if (typeof SharedArrayBuffer === "undefined" || !isOf(value, SharedArrayBuffer)) return false;
  try {
    return value.byteLength >= 0;
  } catch {
    return false;
  }
}

function bytesOf(memory: unknown): SharedArrayBuffer {
  if (isSharedBuffer(memory)) return memory;
  return sharedBuffer(
    memory,
    "an interrupt file lives in a WebAssembly.Memory made with shared: true, or in a SharedArrayBuffer",
  );
}
