import { type Compiled, decode } from "#src/host/compiled.js";
import { compile, instantiate } from "#src/host/wasm.js";
import type { Words } from "#src/host/words.js";
import { MODULE } from "./module.js";

/** The module that hosts run, rewritten: the bytes of one whose accesses of memory are calls. */
export function rewrittenModule(): Uint8Array {
  return decode(MODULE);
}

/**
 * The fast path as WebAssembly over `words`, which are asked for anew at each access. `base` is what callers will give as the
 * place of the host in its memory. Throws a CompileError for bytes that are no module.
 */
export function compiledOver(words: () => Words, base = 0, bytes = rewrittenModule()): Compiled {
  const word = (address: number, offset: number) => (address - base + offset) >>> 2;
  const seam = {
    load: (at: number, offset = 0) => words().load(word(at, offset)),
    store: (at: number, value: number, offset = 0) => words().store(word(at, offset), value),
    or: (at: number, value: number, offset = 0) => words().or(word(at, offset), value),
    and: (at: number, value: number, offset = 0) => words().and(word(at, offset), value),
    add: (at: number, value: number, offset = 0) => words().add(word(at, offset), value),
    exchange: (at: number, value: number, offset = 0) => words().exchange(word(at, offset), value),
    compareExchange: (at: number, expected: number, value: number, offset = 0) =>
      words().compareExchange(word(at, offset), expected, value),
    load64: (at: number, offset = 0) => words().load64(word(at, offset)),
    compareExchange64: (at: number, expected: bigint, value: bigint, offset = 0) =>
      words().compareExchange64(word(at, offset), expected, value),
    /** A negative count is no limit. */
    notify: (at: number, count: number, offset = 0) =>
      count < 0 ? words().notify(word(at, offset)) : words().notify(word(at, offset), count),
    get: (at: number, offset = 0) => words().get(word(at, offset)),
    set: (at: number, value: number, offset = 0) => words().set(word(at, offset), value),
  };
  return instantiate(compile(bytes), { words: seam }) as unknown as Compiled;
}
