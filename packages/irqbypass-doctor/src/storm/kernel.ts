/**
 * The few KVM calls of the storm, and the only foreign function calls of the doctor. koffi, an optional dependency,
 * is loaded when the storm starts and not before.
 */
import { closeSync, openSync } from "node:fs";
import { DoctorError, type DoctorErrorCode } from "../source/error.js";

/** What the storm does to a kernel. File descriptors are those of this process; all calls block. */
export interface StormKernel {
  /** A new VM with an in-kernel interrupt controller and no vCPU. Gives its descriptor. */
  createVm(): number;
  /** A new eventfd with count 0. */
  createEventfd(): number;
  /** KVM_IRQFD. Gives the nanoseconds that the call took. */
  assign(vm: number, eventfd: number): number;
  /** KVM_IRQFD with the deassign flag. Gives the nanoseconds that the call took. */
  deassign(vm: number, eventfd: number): number;
  /** Closes a descriptor that this kernel gave. Closing a VM deassigns all that it holds. */
  close(fd: number): void;
  /** Gives back /dev/kvm itself. Idempotent. */
  dispose(): void;
}

// linux/kvm.h and linux/eventfd.h; the same on every architecture that the storm runs on.
const KVM_GET_API_VERSION = 0xae00;
const KVM_CREATE_VM = 0xae01;
const KVM_CREATE_IRQCHIP = 0xae60;
const KVM_IRQFD = 0x4020ae76;
const KVM_IRQFD_DEASSIGN = 1;
const EFD_CLOEXEC = 0o2000000;
const EFD_NONBLOCK = 0o4000;
/** A GSI without a route: an irqfd may be bound to it, and nothing can be injected by accident. */
const GSI = 24;

/**
 * Opens /dev/kvm.
 * @throws DoctorError ENOSYS without koffi or on an architecture where an interrupt controller takes more than one
 * call; EACCES, ENOENT and the like where /dev/kvm cannot be opened.
 */
export async function openStormKernel(): Promise<StormKernel> {
  if (process.platform !== "linux" || process.arch !== "x64") {
    throw new DoctorError(
      "ENOSYS",
      `--storm measures KVM on Linux x86-64 only; this is ${process.platform} ${process.arch}`,
    );
  }
  const libc = await loadLibc();
  let device: number | null = openDevice();

  function call(name: string, result: number): number {
    if (result >= 0) return result;
    throw systemError(name, libc.errno());
  }

  const request = Buffer.alloc(32);
  function irqfd(vm: number, eventfd: number, flags: number): number {
    request.writeUInt32LE(eventfd, 0);
    request.writeUInt32LE(GSI, 4);
    request.writeUInt32LE(flags, 8);
    const before = process.hrtime.bigint();
    const result = libc.ioctlPointer(vm, KVM_IRQFD, request);
    const after = process.hrtime.bigint();
    call(flags === 0 ? "KVM_IRQFD (assign)" : "KVM_IRQFD (deassign)", result);
    return Number(after - before);
  }

  const version = libc.ioctlNumber(device, KVM_GET_API_VERSION, 0);
  if (version !== 12) {
    closeSync(device);
    throw new DoctorError(
      "ENOSYS",
      `/dev/kvm speaks API version ${version}; the storm knows version 12 only`,
    );
  }
  return {
    createVm() {
      if (device === null) throw new DoctorError("EINVAL", "the storm's /dev/kvm is already closed");
      const vm = call("KVM_CREATE_VM", libc.ioctlNumber(device, KVM_CREATE_VM, 0));
      try {
        call("KVM_CREATE_IRQCHIP", libc.ioctlNumber(vm, KVM_CREATE_IRQCHIP, 0));
      } catch (error) {
        closeSync(vm);
        throw error;
      }
      return vm;
    },
    createEventfd: () => call("eventfd", libc.eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
    assign: (vm, eventfd) => irqfd(vm, eventfd, 0),
    deassign: (vm, eventfd) => irqfd(vm, eventfd, KVM_IRQFD_DEASSIGN),
    close: (fd) => closeSync(fd),
    dispose() {
      if (device !== null) closeSync(device);
      device = null;
    },
  };
}

interface Libc {
  ioctlNumber(fd: number, request: number, argument: number): number;
  ioctlPointer(fd: number, request: number, argument: Buffer): number;
  eventfd(count: number, flags: number): number;
  errno(): number;
}

async function loadLibc(): Promise<Libc> {
  let koffi: typeof import("koffi");
  try {
    koffi = await import("koffi");
  } catch (error) {
    throw new DoctorError(
      "ENOSYS",
      "--storm calls KVM through the optional package koffi, which is not installed or does not run here; " +
        "install it with: npm install koffi",
      error,
    );
  }
  // null is the program itself: its libc is at hand whether that is glibc or musl.
  const library = koffi.load(null);
  // Declared with three fixed arguments: the same registers on x86-64, and a cheaper call than a variadic one.
  return {
    ioctlNumber: library.func("ioctl", "int", ["int", "unsigned long", "unsigned long"]),
    ioctlPointer: library.func("ioctl", "int", ["int", "unsigned long", "void *"]),
    eventfd: library.func("eventfd", "int", ["unsigned int", "int"]),
    errno: () => koffi.errno(),
  };
}

function openDevice(): number {
  try {
    return openSync("/dev/kvm", "r+");
  } catch (error) {
    const code = error instanceof Error && "code" in error ? String(error.code) : "EIO";
    if (code === "ENOENT") {
      throw new DoctorError(
        "ENOENT",
        "--storm needs /dev/kvm and there is none; load kvm_intel or kvm_amd, or in a container pass the device in",
        error,
      );
    }
    if (code === "EACCES" || code === "EPERM") {
      throw new DoctorError(
        code,
        "--storm may not open /dev/kvm; join the group that owns it (often kvm), or run as root where that is root's own",
        error,
      );
    }
    throw new DoctorError("EIO", `--storm could not open /dev/kvm (${code})`, error);
  }
}

const ERRNO_NAMES: Readonly<Record<number, DoctorErrorCode>> = {
  1: "EPERM",
  2: "ENOENT",
  4: "EINTR",
  13: "EACCES",
  16: "EBUSY",
  17: "EEXIST",
  22: "EINVAL",
  38: "ENOSYS",
};

function systemError(call: string, errno: number): DoctorError {
  const hint =
    errno === 24 || errno === 23 ? "; too few file descriptors: raise the limit or ask for fewer" : "";
  const memory = errno === 12 ? "; the kernel has no memory for more: ask for fewer" : "";
  return new DoctorError(
    ERRNO_NAMES[errno] ?? "EIO",
    `the storm's ${call} failed with errno ${errno}${hint}${memory}`,
  );
}
