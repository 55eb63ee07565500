/**
 * One virtual CPU of KVM: its registers, its local APIC, its thread.
 *
 * While the vCPU's thread is inside KVM_RUN the kernel keeps every other request for it waiting, for as long as
 * the guest runs. So each of them is refused (EBUSY) until the thread has ended.
 */

import { show } from "../host/argument.js";
import { IrqBypassError } from "../host/errors.js";
import { Shown } from "../host/shown.js";
import type { WasmMemory } from "../host/wasm.js";
import { checked } from "../linux/checked.js";
import {
  type Ioctl,
  ioctl,
  KVM_CREATE_VCPU,
  KVM_GET_LAPIC,
  KVM_GET_MP_STATE,
  KVM_GET_SREGS,
  KVM_SET_CPUID2,
  KVM_SET_LAPIC,
  KVM_SET_MP_STATE,
  KVM_SET_REGS,
  KVM_SET_SREGS,
  KVM_SET_VCPU_EVENTS,
} from "./ioctl.js";
import { checkOwn } from "./machine-host.js";
import { checkLapic, encodeRegs, LAPIC_BYTES, noEvents, SREGS_BYTES } from "./structs.js";
import { checkThreadRoom } from "./thread-room.js";
import { KvmVcpuThread, type VcpuThreadFacts } from "./vcpu-thread.js";

const RUNNABLE = 0;

/** What a vCPU needs to know of /dev/kvm. */
export interface KvmFacts extends VcpuThreadFacts {
  readonly runBytes: number;
  readonly supportedCpuid: Uint8Array;
}

export class KvmVcpu extends Shown implements Disposable {
  /** Its place in the machine, and the id of its local APIC. */
  readonly index: number;
  readonly #kvm: KvmFacts;
  readonly #memory: WasmMemory;
  #fd: number;
  #thread: KvmVcpuThread | undefined;

  /** @internal Made by a machine's createVcpu. */
  constructor(vmFd: number, kvm: KvmFacts, memory: WasmMemory, index: number) {
    super();
    this.index = index;
    this.#kvm = kvm;
    this.#memory = memory;
    const { host } = kvm;
    const open = host && ((call: () => number) => host.opens(call, index));
    this.#fd = ioctl(kvm.ffi, vmFd, KVM_CREATE_VCPU, index, `VM fd ${vmFd}`, `vCPU ${index}`, open);
    try {
      this.#ioctl(KVM_SET_CPUID2, kvm.supportedCpuid);
      // All but the first wait for a start-up IPI, which no guest of ours sends.
      this.#ioctl(KVM_SET_MP_STATE, new Uint32Array([RUNNABLE]));
    } catch (error) {
      this.#close();
      throw error;
    }
  }

  #ioctl(call: Ioctl, argument: ArrayBufferView): void {
    if (this.#fd < 0) throw new IrqBypassError("EBADF", `vCPU ${this.index} was closed by dispose`);
    if (this.#thread !== undefined && !this.#thread.left) {
      throw new IrqBypassError(
        "EBUSY",
        `vCPU ${this.index} is running and ${call.name} would wait for it; stop its thread first`,
        { subject: `vCPU ${this.index}`, syscall: call.name },
      );
    }
    ioctl(this.#kvm.ffi, this.#fd, call, argument, `vCPU ${this.index}`);
  }

  /** @internal */
  protected describe(): object {
    return { index: this.index, fd: this.#fd, running: this.#thread?.left === false };
  }

  /** Its descriptor, -1 after dispose. */
  get fd(): number {
    return this.#fd;
  }

  /** The thread that runs it, from {@link start} on. */
  get thread(): KvmVcpuThread | undefined {
    return this.#thread;
  }

  /** Sets where the guest goes on, its stack and its flags; all other registers become 0. */
  setRegisters(registers: {
    /** Where it goes on. */
    rip: number;
    /** Its stack pointer. */
    rsp: number;
    /** Its flags; bit 1 is always set. */
    rflags: number;
  }): void {
    this.#ioctl(KVM_SET_REGS, encodeRegs(registers));
  }

  /** Reads the special registers, lets `change` write to them (struct kvm_sregs), and sets them. */
  changeSpecialRegisters(change: (sregs: DataView) => void): void {
    if (typeof change !== "function") {
      throw new IrqBypassError("EINVAL", `${show(change)} changes no registers: give a function`);
    }
    const sregs = new DataView(new ArrayBuffer(SREGS_BYTES));
    this.#ioctl(KVM_GET_SREGS, sregs);
    change(sregs);
    this.#ioctl(KVM_SET_SREGS, sregs);
  }

  /** A copy of the local APIC's registers; see requestedVectors and inServiceVectors. */
  lapic(): Uint8Array {
    const lapic = new Uint8Array(LAPIC_BYTES);
    this.#ioctl(KVM_GET_LAPIC, lapic);
    return lapic;
  }

  /** Replaces the local APIC's registers. */
  setLapic(lapic: Uint8Array): void {
    checkLapic(lapic);
    this.#ioctl(KVM_SET_LAPIC, lapic);
  }

  /** @internal Makes it runnable, with nothing pending outside of its local APIC. */
  forgetEvents(): void {
    this.#ioctl(KVM_GET_MP_STATE, new Uint32Array(1)); // applies an INIT and a start-up that are due: nothing else takes them away
    this.#ioctl(KVM_SET_MP_STATE, new Uint32Array([RUNNABLE]));
    this.#ioctl(KVM_SET_VCPU_EVENTS, noEvents());
  }

  /**
   * Runs the guest in a thread of its own. EBUSY while one runs it, EMFILE where the thread would find too few descriptors.
   * Does not wait for it.
   */
  start(): KvmVcpuThread {
    this.checkStart();
    const { ffi, runBytes } = this.#kvm;
    checkThreadRoom(ffi, this.#fd, 1, `vCPU ${this.index}`);
    const vcpu = { fd: this.#fd, index: this.index, runBytes, memory: this.#memory };
    this.#thread = new KvmVcpuThread(vcpu, this.#kvm);
    return this.#thread;
  }

  /** @internal Throws what `start` throws before it starts anything, but for the descriptors. */
  checkStart(): void {
    if (this.#fd < 0) throw new IrqBypassError("EBADF", `vCPU ${this.index} was closed by dispose`);
    if (this.#thread === undefined || this.#thread.left) return;
    throw new IrqBypassError("EBUSY", `vCPU ${this.index} is running already; stop its thread first`);
  }

  /**
   * Kicks its thread out of KVM_RUN, blocking until it has left, and closes the vCPU. Idempotent. Throws EBUSY for a vCPU of a `KvmVm`,
   * which ends with that.
   */
  [Symbol.dispose](): void {
    if (this.#fd < 0) return;
    checkOwn(this.#kvm.host, `vCPU ${this.index}`);
    this.end();
  }

  /** @internal The same, by whom the machine belongs to. */
  end(): void {
    if (this.#fd < 0) return;
    this.#thread?.[Symbol.dispose]();
    checked(this.#close(), "close", `vCPU ${this.index}`);
  }

  #close(): number {
    const fd = this.#fd;
    this.#fd = -1;
    const { ffi, host } = this.#kvm;
    return host === undefined ? ffi.close(fd) : host.closes(this.index);
  }
}
