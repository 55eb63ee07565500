/**
 * The requests of /dev/kvm, each with its name, so that a failure always names what failed.
 * (linux/kvm.h; the numbers follow from the rule of asm-generic/ioctl.h.)
 */
import { ERRNO } from "../host/errors.js";
import { checked } from "../linux/checked.js";
import type { Ffi } from "../linux/ffi.js";

/** One request: its name in the kernel's header and its number. */
export interface Ioctl {
  readonly name: string;
  readonly request: number;
}

const KVMIO = 0xae;

/** Bits 31-30 say who reads the argument, 29-16 its size in bytes, 15-8 the device, 7-0 the request. */
function encode(name: string, direction: 0 | 1 | 2 | 3, number: number, size: number): Ioctl {
  return { name, request: ((direction << 30) | (size << 16) | (KVMIO << 8) | number) >>> 0 };
}
const io = (name: string, number: number) => encode(name, 0, number, 0);
const iow = (name: string, number: number, size: number) => encode(name, 1, number, size);
const ior = (name: string, number: number, size: number) => encode(name, 2, number, size);
const iowr = (name: string, number: number, size: number) => encode(name, 3, number, size);

// On /dev/kvm.
export const KVM_GET_API_VERSION = io("KVM_GET_API_VERSION", 0x00);
export const KVM_CREATE_VM = io("KVM_CREATE_VM", 0x01);
export const KVM_CHECK_EXTENSION = io("KVM_CHECK_EXTENSION", 0x03);
export const KVM_GET_VCPU_MMAP_SIZE = io("KVM_GET_VCPU_MMAP_SIZE", 0x04);
export const KVM_GET_SUPPORTED_CPUID = iowr("KVM_GET_SUPPORTED_CPUID", 0x05, 8);

// On a VM.
export const KVM_CREATE_VCPU = io("KVM_CREATE_VCPU", 0x41);
export const KVM_SET_USER_MEMORY_REGION = iow("KVM_SET_USER_MEMORY_REGION", 0x46, 32);
export const KVM_SET_TSS_ADDR = io("KVM_SET_TSS_ADDR", 0x47);
export const KVM_SET_IDENTITY_MAP_ADDR = iow("KVM_SET_IDENTITY_MAP_ADDR", 0x48, 8);
export const KVM_CREATE_IRQCHIP = io("KVM_CREATE_IRQCHIP", 0x60);
export const KVM_IRQ_LINE = iow("KVM_IRQ_LINE", 0x61, 8);
export const KVM_GET_IRQCHIP = iowr("KVM_GET_IRQCHIP", 0x62, 520);
export const KVM_SET_IRQCHIP = ior("KVM_SET_IRQCHIP", 0x63, 520);
export const KVM_IRQ_LINE_STATUS = iowr("KVM_IRQ_LINE_STATUS", 0x67, 8);
export const KVM_SET_GSI_ROUTING = iow("KVM_SET_GSI_ROUTING", 0x6a, 8);
export const KVM_IRQFD = iow("KVM_IRQFD", 0x76, 32);
export const KVM_IOEVENTFD = iow("KVM_IOEVENTFD", 0x79, 64);
export const KVM_ENABLE_CAP = iow("KVM_ENABLE_CAP", 0xa3, 104);
export const KVM_SIGNAL_MSI = iow("KVM_SIGNAL_MSI", 0xa5, 32);

// On a vCPU.
export const KVM_RUN = io("KVM_RUN", 0x80);
export const KVM_GET_REGS = ior("KVM_GET_REGS", 0x81, 144);
export const KVM_SET_REGS = iow("KVM_SET_REGS", 0x82, 144);
export const KVM_GET_SREGS = ior("KVM_GET_SREGS", 0x83, 312);
export const KVM_SET_SREGS = iow("KVM_SET_SREGS", 0x84, 312);
export const KVM_SET_SIGNAL_MASK = iow("KVM_SET_SIGNAL_MASK", 0x8b, 4);
export const KVM_GET_LAPIC = ior("KVM_GET_LAPIC", 0x8e, 1024);
export const KVM_SET_LAPIC = iow("KVM_SET_LAPIC", 0x8f, 1024);
export const KVM_SET_CPUID2 = iow("KVM_SET_CPUID2", 0x90, 8);
export const KVM_GET_MP_STATE = ior("KVM_GET_MP_STATE", 0x98, 4);
export const KVM_SET_MP_STATE = iow("KVM_SET_MP_STATE", 0x99, 4);
export const KVM_SET_VCPU_EVENTS = iow("KVM_SET_VCPU_EVENTS", 0xa0, 64);

/** Capabilities that KVM_CHECK_EXTENSION is asked for. */
export const KVM_CAP = {
  KVM_CAP_IRQCHIP: 0,
  KVM_CAP_USER_MEMORY: 3,
  KVM_CAP_MAX_VCPUS: 66,
  KVM_CAP_IRQ_ROUTING: 25,
  KVM_CAP_IRQFD: 32,
  KVM_CAP_IOEVENTFD: 36,
  KVM_CAP_SIGNAL_MSI: 77,
  KVM_CAP_IRQFD_RESAMPLE: 82,
  KVM_CAP_SPLIT_IRQCHIP: 121,
} as const;

/** A capability of KVM, as its header names it. */
export type KvmCapability = keyof typeof KVM_CAP;

/** Why KVM_RUN returned: the names of kvm_run's exit_reason on x86, by number. */
const exitReasons: readonly string[] = [
  "UNKNOWN",
  "EXCEPTION",
  "IO",
  "HYPERCALL",
  "DEBUG",
  "HLT",
  "MMIO",
  "IRQ_WINDOW_OPEN",
  "SHUTDOWN",
  "FAIL_ENTRY",
  "INTR",
];
const laterExitReasons: Readonly<Record<number, string>> = {
  16: "NMI",
  17: "INTERNAL_ERROR",
  24: "SYSTEM_EVENT",
  26: "IOAPIC_EOI",
  29: "X86_RDMSR",
  30: "X86_WRMSR",
  39: "MEMORY_FAULT",
};
export const KVM_EXIT_IO = 2;
export const KVM_EXIT_FAIL_ENTRY = 9;
export const KVM_EXIT_INTR = 10;
export const KVM_EXIT_INTERNAL_ERROR = 17;

export function exitReasonName(reason: number): string {
  const name = exitReasons[reason] ?? laterExitReasons[reason];
  return name === undefined ? `exit reason ${reason}` : `KVM_EXIT_${name}`;
}

/**
 * Makes one request, again where a signal interrupted it. Throws an IrqBypassError with the request's name and
 * the kernel's errno. KVM_RUN, which a signal is meant to end, does not go through here. Of a request for a descriptor `open` makes the
 * call, and does nothing after it but keep what that has.
 */
export function ioctl(
  ffi: Ffi,
  fd: number,
  call: Ioctl,
  argument: number | ArrayBufferView,
  subject: string,
  advice = "",
  open?: (request: () => number) => number,
): number {
  for (;;) {
    const result =
      open === undefined ? request(ffi, fd, call, argument) : open(() => request(ffi, fd, call, argument));
    if (result !== -ERRNO.EINTR) return checked(result, call.name, subject, advice);
  }
}

function request(ffi: Ffi, fd: number, call: Ioctl, argument: number | ArrayBufferView): number {
  return typeof argument === "number"
    ? ffi.ioctl(fd, call.request, argument)
    : ffi.ioctlBuffer(fd, call.request, argument);
}
