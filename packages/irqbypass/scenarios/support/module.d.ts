/**
 * The fast path as WebAssembly without a memory, as a list in JSON: each instruction that touches memory in the one that hosts run
 * (`host/module.d.ts`) calls the import `words` here. Written by `assembly/compile.mjs`.
 */
export const MODULE: string;
