/**
 * /dev/kvm itself: is it there, may we use it, can it do what is needed.
 */

import { type OptionNames, readOptions, show } from "../host/argument.js";
import { ERRNO, type ErrorCode, IrqBypassError } from "../host/errors.js";
import { Shown } from "../host/shown.js";
import { checked } from "../linux/checked.js";
import { checkFfi, type Ffi, O_CLOEXEC, O_RDWR } from "../linux/ffi.js";
import { loadFfi } from "../linux/koffi.js";
import { checkNode } from "../linux/node.js";
import {
  ioctl,
  KVM_CAP,
  KVM_CHECK_EXTENSION,
  KVM_GET_API_VERSION,
  KVM_GET_SUPPORTED_CPUID,
  KVM_GET_VCPU_MMAP_SIZE,
  type KvmCapability,
} from "./ioctl.js";
import type { KvmHost } from "./machine-host.js";
import { CPUID_BYTES, CPUID_ENTRIES } from "./structs.js";

const API_VERSION = 12;
const PATH = "/dev/kvm";

/** Without these there are no guests here. */
const needed: readonly KvmCapability[] = [
  "KVM_CAP_IRQCHIP",
  "KVM_CAP_USER_MEMORY",
  "KVM_CAP_IRQ_ROUTING",
  "KVM_CAP_IRQFD",
  "KVM_CAP_SIGNAL_MSI",
];

/** Where KVM is, and how it is called. */
export interface KvmOptions {
  /** The calling thread's C library; default {@link loadFfi}. */
  readonly ffi?: Ffi;
  /** Default "/dev/kvm". */
  readonly path?: string;
  /** The machine's architecture; default this process's. */
  readonly arch?: string;
}

const OPTIONS: OptionNames<KvmOptions> = { ffi: true, path: true, arch: true };

const advice: Readonly<Record<number, readonly [ErrorCode, string]>> = {
  [ERRNO.ENOENT]: [
    "ENOENT",
    "does not exist: this kernel has no KVM, or the container was not given the device",
  ],
  [ERRNO.EACCES]: ["EACCES", "may not be opened by this user: join the group that owns it (often kvm)"],
  [ERRNO.EPERM]: ["EPERM", "may not be opened here: the container's device rules forbid it"],
  [ERRNO.ENODEV]: [
    "ENODEV",
    "has no driver behind it: virtualization is off in the firmware, or not passed on",
  ],
  [ERRNO.ENXIO]: ["ENXIO", "has no driver behind it: load the kvm module"],
};

/** An open /dev/kvm. VMs made from it live on after it is closed. */
export class Kvm extends Shown implements Disposable {
  /** The C library that it is called through. */
  readonly ffi: Ffi;
  /** Bytes of a vCPU's kvm_run area. */
  readonly runBytes: number;
  /** struct kvm_cpuid2 with all that this machine can give a guest. */
  readonly supportedCpuid: Uint8Array;
  readonly #path: string;
  readonly #host: KvmHost | undefined;
  #fd: number;

  private constructor(ffi: Ffi, fd: number, path: string, host: KvmHost | undefined) {
    super();
    this.#host = host;
    this.ffi = ffi;
    this.#fd = fd;
    this.#path = path;
    const version = ioctl(ffi, fd, KVM_GET_API_VERSION, 0, path, "is this KVM?");
    if (version !== API_VERSION) {
      throw new IrqBypassError("EOPNOTSUPP", `${path} speaks KVM API version ${version}, not ${API_VERSION}`);
    }
    const missing = needed.filter((name) => this.extension(name) === 0);
    if (missing.length > 0) {
      const what = missing.includes("KVM_CAP_IRQCHIP") ? "no in-kernel irqchip" : "too little";
      throw new IrqBypassError("EOPNOTSUPP", `${path} has ${what}: ${missing.join(", ")} missing`, {
        subject: path,
        syscall: "KVM_CHECK_EXTENSION",
      });
    }
    this.runBytes = ioctl(ffi, fd, KVM_GET_VCPU_MMAP_SIZE, 0, path);
    this.supportedCpuid = new Uint8Array(CPUID_BYTES);
    new DataView(this.supportedCpuid.buffer).setUint32(0, CPUID_ENTRIES, true);
    ioctl(ffi, fd, KVM_GET_SUPPORTED_CPUID, this.supportedCpuid, path);
  }

  /**
   * Opens /dev/kvm and checks it. Throws an IrqBypassError that says which: not Linux or no FFI, another
   * architecture (ENOSYS), absent (ENOENT), not allowed (EACCES, EPERM), no in-kernel irqchip (EOPNOTSUPP).
   *
   * @example
   * ```ts
   * import { Kvm } from "irqbypass/kvm";
   *
   * using opened = Kvm.open();
   * console.log(opened.extension("KVM_CAP_IRQFD"));
   * ```
   */
  static open(options: KvmOptions = {}): Kvm {
    return Kvm.openFor(undefined, options);
  }

  /** @internal The same for a host, which knows of the descriptor while it is open. */
  static openFor(host: KvmHost | undefined, options: KvmOptions = {}): Kvm {
    const how = readOptions(options, OPTIONS, "options such as { path }, or none");
    checkNode("KVM guests need");
    const { path = PATH, arch = process.arch } = how;
    if (typeof path !== "string" || path.includes("\0")) {
      throw new IrqBypassError("EINVAL", `path is ${show(path)}: name a device file`);
    }
    const ffi = how.ffi ?? loadFfi();
    checkFfi(ffi);
    if (arch !== "x64") {
      throw new IrqBypassError("ENOSYS", `KVM guests here are x86 code; this machine is ${show(arch)}`);
    }
    const open = () => ffi.open(path, O_RDWR | O_CLOEXEC, 0);
    const fd = host === undefined ? open() : host.opens(open);
    const known = advice[-fd];
    if (known !== undefined) {
      throw new IrqBypassError(known[0], `${path} ${known[1]}`, { subject: path, syscall: "open" });
    }
    checked(fd, "open", path);
    try {
      return new Kvm(ffi, fd, path, host);
    } catch (error) {
      close(ffi, fd, host);
      throw error;
    }
  }

  /** The descriptor. Throws EBADF after dispose. */
  get fd(): number {
    if (this.#fd < 0) throw new IrqBypassError("EBADF", `${this.#path} was closed by dispose`);
    return this.#fd;
  }

  /** What KVM_CHECK_EXTENSION answers: 0 for no, else 1 or a capability's own number. */
  extension(name: KvmCapability): number {
    if (typeof name !== "string" || !Object.hasOwn(KVM_CAP, name)) {
      throw new IrqBypassError(
        "EINVAL",
        `${show(name)} is no capability: use one of ${Object.keys(KVM_CAP).join(", ")}`,
      );
    }
    return ioctl(this.ffi, this.fd, KVM_CHECK_EXTENSION, KVM_CAP[name], this.#path);
  }

  /** @internal */
  protected describe(): object {
    return { path: this.#path, fd: this.fd };
  }

  /** Closes the descriptor. Idempotent. */
  [Symbol.dispose](): void {
    if (this.#fd < 0) return;
    const fd = this.#fd;
    this.#fd = -1;
    checked(close(this.ffi, fd, this.#host), "close", this.#path);
  }
}

function close(ffi: Ffi, fd: number, host: KvmHost | undefined): number {
  return host === undefined ? ffi.close(fd) : host.closes(fd);
}
