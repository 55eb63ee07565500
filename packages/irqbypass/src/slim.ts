/**
 * irqbypass for a page that counts its bytes: the same, but that its `Host` has no `audit()` and its `Vm` no ioeventfds. A class is the
 * same class as that of `irqbypass`, and `Host` and `Vm` are what those of `irqbypass` extend.
 *
 * @packageDocumentation
 */
export * from "./index.js";
export { SlimHost as Host } from "./vm/slim-host.js";
export { SlimVm as Vm } from "./vm/slim-vm.js";
