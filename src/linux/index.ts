/**
 * Linux objects: the C library through FFI, and eventfds of the kernel. Linux only; {@link loadFfi} says why not
 * elsewhere.
 */
export { EventfdFile, type EventfdFileOptions, type EventfdInfo, eventfdInfo } from "./eventfd-file.js";
export type { Ffi } from "./ffi.js";
export { type FfiSource, loadFfi } from "./koffi.js";
