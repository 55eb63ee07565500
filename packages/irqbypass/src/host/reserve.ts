/**
 * The memory that a host lives in: the caller's, or one of its own.
 */
import { show } from "./argument.js";
import { type Capacity, checkCapacity, SIZES, type Size } from "./capacity.js";
import { IrqBypassError } from "./errors.js";
import { hostWords } from "./header.js";
import { LINE } from "./layout.js";
import { createMemory, isMemory, type WasmMemory } from "./wasm.js";
import { WORD_BYTES } from "./words.js";

/** A host's memory as another thread gets it: structured-cloneable, the memory itself is shared. */
export interface HostHandle {
  /** The shared memory that the host lies in. */
  readonly memory: WasmMemory;
  /** Where the host starts in the memory, in bytes. */
  readonly byteOffset: number;
}

/** Where a new host is to lie, and how large it is. */
export interface PlaceOptions {
  /** The caller's own shared memory, where its compiled code lives too; otherwise a new one. */
  readonly memory?: WasmMemory;
  /** Where in the caller's memory the host starts: a multiple of 64 bytes. */
  readonly byteOffset?: number;
  /** How much the host has room for, by its use. Default: "small", a first program; it takes less than 1 MiB. */
  readonly size?: Size;
  /** Single capacities in the place of those of the size. Where one is too small, ENOMEM names it. */
  readonly capacity?: Partial<Capacity>;
}

const PAGE = 65536;

/** A memory for a new host of this capacity: the caller's, checked, or one of our own. Throws EINVAL, ENOMEM, EOPNOTSUPP. */
export function reserve(options: PlaceOptions, capacity: Capacity): HostHandle {
  const bytes = hostWords(capacity) * WORD_BYTES;
  const { memory, byteOffset = 0 } = options;
  if (!Number.isSafeInteger(byteOffset) || byteOffset < 0 || byteOffset % (LINE * WORD_BYTES) !== 0) {
    throw new IrqBypassError(
      "EINVAL",
      `byteOffset is ${show(byteOffset)}: it counts bytes, and must be a multiple of 64`,
    );
  }
  if (memory !== undefined) {
    const room = sharedBuffer(memory).byteLength - byteOffset;
    if (room < bytes) throw tooSmall(options, room, bytes);
    return { memory, byteOffset };
  }
  refuseUnshared();
  return { memory: newMemory(Math.ceil((bytes + byteOffset) / PAGE)), byteOffset };
}

function newMemory(pages: number): WasmMemory {
  try {
    return createMemory(pages);
  } catch (cause) {
    const text = `cannot get ${pages * PAGE} bytes of shared memory: ask for a smaller size or capacity`;
    throw new IrqBypassError("ENOMEM", text, { cause });
  }
}

function tooSmall({ capacity, byteOffset = 0 }: PlaceOptions, room: number, bytes: number): IrqBypassError {
  const fits = SIZES.filter((size) => hostWords(checkCapacity(capacity, size)) * WORD_BYTES <= room).at(-1);
  return new IrqBypassError(
    "ENOMEM",
    `the memory has ${Math.max(room, 0)} bytes from byteOffset ${byteOffset} on, this host takes ${bytes}: ` +
      `pass a larger memory or ${fits === undefined ? "a smaller capacity" : `size "${fits}"`}`,
  );
}

function refuseUnshared(): void {
  const lack = whatIsMissing();
  if (lack !== undefined) throw new IrqBypassError("EOPNOTSUPP", lack);
}

/** What this place lacks for memory that threads share, and what to do about it; undefined for nothing. */
function whatIsMissing(): string | undefined {
  const place = globalThis as {
    readonly crossOriginIsolated?: boolean;
    readonly isSecureContext?: boolean;
    readonly WebAssembly?: unknown;
  };
  if (place.WebAssembly === undefined)
    return "this place has no WebAssembly, whose memory threads share: leave the browser's lockdown mode, or use another one";
  if (place.isSecureContext === false)
    return "this page is no secure context, so it has no shared memory: serve it by https, or from localhost";
  if (place.crossOriginIsolated === false)
    return (
      "this page has no shared memory: serve it with the headers Cross-Origin-Opener-Policy: same-origin and " +
      'Cross-Origin-Embedder-Policy: require-corp; a frame needs allow="cross-origin-isolated" too'
    );
  if (typeof SharedArrayBuffer === "undefined")
    return "this place has no SharedArrayBuffer, in which threads share memory: use a newer browser";
  return undefined;
}

/** The bytes of a memory that threads can share. Throws EINVAL with `sentence` for any other, EOPNOTSUPP where there is none. */
export function sharedBuffer(
  memory: unknown,
  sentence = "a host lives in a WebAssembly.Memory made with shared: true",
): SharedArrayBuffer {
  const buffer = isMemory(memory) ? memory.buffer : undefined;
  if (typeof SharedArrayBuffer === "undefined" || !(buffer instanceof SharedArrayBuffer)) {
    refuseUnshared();
    throw new IrqBypassError("EINVAL", sentence);
  }
  return buffer;
}
