/**
 * The part of WebAssembly that the core needs: a memory that compiled code and every thread share, and a module in it. The
 * types are structural, so that neither this library nor its users need the types of the DOM for it.
 */
export interface WasmMemory {
  /** Its bytes, shared. */
  readonly buffer: ArrayBufferLike;
}

interface MemoryConstructor {
  readonly prototype: WasmMemory;
  new (descriptor: { initial: number; maximum: number; shared: true }): WasmMemory;
}

/** A compiled module: it never changes. */
export interface WasmModule {
  readonly [Symbol.toStringTag]: "WebAssembly.Module";
}

interface Types {
  readonly Memory: MemoryConstructor;
  readonly Module: new (bytes: Uint8Array) => WasmModule;
  readonly Instance: new (module: WasmModule, imports: Imports) => { readonly exports: object };
}

/** What a module imports, by module and name. */
export type Imports = Readonly<Record<string, Readonly<Record<string, unknown>>>>;

/** Where there is none, whoever asks for a host is told so. */
const wasm = (globalThis as unknown as { readonly WebAssembly?: Types }).WebAssembly;

/** A shared memory of `pages` pages of 64 KiB. Throws RangeError where the platform refuses. */
export function createMemory(pages: number): WasmMemory {
  return new wasm!.Memory({ initial: pages, maximum: pages, shared: true });
}

const bufferOfMemory = wasm && Object.getOwnPropertyDescriptor(wasm.Memory.prototype, "buffer")?.get;

/** Is it a memory, and no proxy or object that only says so? */
export function isMemory(value: unknown): value is WasmMemory {
  try {
    return bufferOfMemory?.call(value) !== undefined;
  } catch {
    return false;
  }
}

/**
 * A module, compiled at once, which a page's main thread may do up to 4 KiB. Throws what the platform throws, such as a
 * CompileError where its security policy forbids to compile.
 */
export function compile(bytes: Uint8Array): WasmModule {
  return new wasm!.Module(bytes);
}

/** The exports of a new instance of a module. */
export function instantiate(module: WasmModule, imports: Imports): object {
  return new wasm!.Instance(module, imports).exports;
}
