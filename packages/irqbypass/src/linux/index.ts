/**
 * Linux objects: eventfds of the kernel as tokens of a host, and the C library through FFI. Linux only;
 * {@link loadFfi} says why not elsewhere.
 *
 * @packageDocumentation
 */
export { LinuxEventfd } from "./eventfd.js";
export { EventfdFile, type EventfdFileOptions } from "./eventfd-file.js";
export { type EventfdInfo, eventfdInfo } from "./eventfd-info.js";
export type { Ffi } from "./ffi.js";
export { type LinuxKind, linux } from "./kind.js";
export { type FfiSource, loadFfi } from "./koffi.js";
