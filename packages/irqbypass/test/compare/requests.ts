/** Requests of KVM that the library itself does not make. */
import type { Ioctl } from "#src/kvm/ioctl.js";

function request(name: string, direction: 1 | 2 | 3, number: number, size: number): Ioctl {
  return { name, request: ((direction << 30) | (size << 16) | (0xae << 8) | number) >>> 0 };
}

export const KVM_GET_MSRS = request("KVM_GET_MSRS", 3, 0x88, 8);
export const KVM_SET_MSRS = request("KVM_SET_MSRS", 1, 0x89, 8);
export const KVM_GET_MP_STATE = request("KVM_GET_MP_STATE", 2, 0x98, 4);
export const EVENTS_BYTES = 64;
export const KVM_GET_VCPU_EVENTS = request("KVM_GET_VCPU_EVENTS", 2, 0x9f, EVENTS_BYTES);
export const KVM_SET_VCPU_EVENTS = request("KVM_SET_VCPU_EVENTS", 1, 0xa0, EVENTS_BYTES);
export const KVM_CAP_X2APIC_API = 129;
