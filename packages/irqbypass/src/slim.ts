/**
 * irqbypass for a page that counts its bytes: the same, but that its `Host` has no `audit()`. A class is the same class as that of
 * `irqbypass`, and `Host` is what that of `irqbypass` extends.
 *
 * @packageDocumentation
 */
export * from "./index.js";
export { SlimHost as Host } from "./vm/slim-host.js";
