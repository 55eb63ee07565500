/**
 * The fast path as WebAssembly, its bytes as a list in JSON, which packs smaller than base64: written beside the compiled files
 * by `assembly/compile.mjs`, out of the functions that {@link Compiled} lists.
 */
export const MODULE: string;
