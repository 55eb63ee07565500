/**
 * Real guests, through /dev/kvm. Linux on x86-64 only; {@link whyNoKvm} says why not elsewhere.
 *
 * @packageDocumentation
 */

export type { Pic } from "../vm/pic-ports.js";
export { whyNoKvm } from "./available.js";
export { bootGuest, FIRST_VECTOR, type GuestTables, guestPages, guestTables } from "./guest.js";
export type { KvmCapability } from "./ioctl.js";
export { kvm } from "./kind.js";
export { Kvm, type KvmOptions } from "./kvm.js";
export { KvmMachine, type KvmMachineOptions, signalMsi } from "./machine.js";
export {
  encodeMsi,
  type IoapicState,
  inServiceVectors,
  type KvmIoeventfd,
  type KvmIrqfd,
  type KvmMsi,
  type KvmMsiRoute,
  type KvmPinRoute,
  type KvmRoute,
  msiTo,
  requestedVectors,
} from "./structs.js";
export type { KvmVcpu } from "./vcpu.js";
export type { KvmVcpuThread } from "./vcpu-thread.js";
export { KvmVm, type KvmVmOptions } from "./vm.js";
export type { KvmVmRef } from "./vm-ref.js";
