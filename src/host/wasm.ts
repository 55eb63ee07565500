/**
 * The one part of WebAssembly that the core needs: a memory that compiled code and every thread share. The type
 * is structural, so that neither this library nor its users need the types of the DOM for it.
 */
export interface WasmMemory {
  readonly buffer: ArrayBufferLike;
}

interface MemoryConstructor {
  new (descriptor: { initial: number; maximum: number; shared: true }): WasmMemory;
}

const { Memory } = (globalThis as unknown as { WebAssembly: { Memory: MemoryConstructor } }).WebAssembly;

/** A shared memory of `pages` pages of 64 KiB. Throws RangeError where the platform refuses. */
export function createMemory(pages: number): WasmMemory {
  return new Memory({ initial: pages, maximum: pages, shared: true });
}

export function isMemory(value: unknown): value is WasmMemory {
  return value instanceof Memory;
}
