/**
 * irqbypass for a page that counts its bytes: irqfds, a routing table, vCPUs and devices, with less around them. Its `Host` has no
 * `audit()` and no `threads()`, and loads late what repairs after dead threads; its `Vm` has no messages, lines and routes by themselves, no
 * I/O APIC to be programmed, no reset and no ioeventfds; its `Vcpu` has no `apic` and sends no IPIs; its `VfioPciDevice`
 * has MSI and MSI-X, for the thread that makes it. A class is the same class as that
 * of `irqbypass`, or the one that it extends, on the same memory.
 *
 * @packageDocumentation
 */

export { SlimVfioPciDevice as VfioPciDevice } from "./device/slim-vfio-pci.js";
export * from "./index.js";
export { SlimHost as Host } from "./vm/slim-host.js";
export { SlimVcpu as Vcpu } from "./vm/slim-vcpu.js";
export { SlimVm as Vm } from "./vm/slim-vm.js";
