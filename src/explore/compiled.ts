import { type Compiled, decode } from "../host/compiled.js";
import { instantiate } from "../host/wasm.js";
import type { Words } from "../host/words.js";
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
  const word = (address: number) => (address - base) >>> 2;
  const seam = {
    load: (at: number) => words().load(word(at)),
    store: (at: number, value: number) => words().store(word(at), value),
    or: (at: number, value: number) => words().or(word(at), value),
    and: (at: number, value: number) => words().and(word(at), value),
    add: (at: number, value: number) => words().add(word(at), value),
    exchange: (at: number, value: number) => words().exchange(word(at), value),
    /** Compiled code always wakes everyone. */
    notify: (at: number) => words().notify(word(at)),
    get: (at: number) => words().get(word(at)),
    set: (at: number, value: number) => words().set(word(at), value),
  };
  return instantiate(bytes, { words: seam }) as unknown as Compiled;
}
