/**
 * The fast path as WebAssembly, in base64: written beside the compiled files by `scripts/compile.mjs`, out of the functions
 * that {@link Compiled} lists.
 */
export const MODULE: string;
