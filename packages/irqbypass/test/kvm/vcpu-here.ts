/** A vCPU of KVM that runs in the calling thread, until its guest leaves by a port: what tests need that have no thread for one. */
import {
  ioctl,
  KVM_CREATE_VCPU,
  KVM_EXIT_IO,
  KVM_RUN,
  KVM_SET_CPUID2,
  KVM_SET_MP_STATE,
} from "#src/kvm/ioctl.js";
import type { Kvm } from "#src/kvm/kvm.js";
import type { KvmMachine } from "#src/kvm/machine.js";
import { checked } from "#src/linux/checked.js";
import { MAP_SHARED, PROT_READ } from "#src/linux/ffi.js";

const EINTR = -4;
const RUNNABLE = 0;

export abstract class VcpuHere implements Disposable {
  readonly fd: number;
  private readonly run: number;
  private readonly area = new DataView(new ArrayBuffer(64));

  constructor(
    protected readonly machine: KvmMachine,
    private readonly kvm: Pick<Kvm, "runBytes" | "supportedCpuid">,
    index: number,
  ) {
    const { ffi } = machine;
    this.fd = ioctl(ffi, machine.fd, KVM_CREATE_VCPU, index, "a VM");
    this.ask(KVM_SET_CPUID2, kvm.supportedCpuid);
    this.setState(RUNNABLE);
    this.run = checked(ffi.mmap(kvm.runBytes, PROT_READ, MAP_SHARED, this.fd, 0), "mmap", "a vCPU");
  }

  setState(state: number): void {
    this.ask(KVM_SET_MP_STATE, Uint32Array.of(state));
  }

  [Symbol.dispose](): void {
    this.machine.ffi.munmap(this.run, this.kvm.runBytes);
    this.machine.ffi.close(this.fd);
  }

  protected ask(call: Parameters<typeof ioctl>[2], argument: Parameters<typeof ioctl>[3]): void {
    ioctl(this.machine.ffi, this.fd, call, argument, "a vCPU");
  }

  /** Runs the guest until it writes to a port; returns which, and the byte. */
  protected enter(): { readonly port: number; readonly byte: number } {
    const { ffi } = this.machine;
    for (;;) {
      const result = ffi.ioctl(this.fd, KVM_RUN.request, 0);
      if (result === EINTR) continue;
      checked(result, "KVM_RUN", "a vCPU");
      ffi.copyFrom(this.run, this.area);
      const reason = this.area.getUint32(8, true);
      if (reason !== KVM_EXIT_IO) throw new Error(`the guest left with exit reason ${reason}`);
      const byte = new Uint8Array(1);
      ffi.copyFrom(this.run + Number(this.area.getBigUint64(40, true)), byte);
      return { port: this.area.getUint16(34, true), byte: byte[0]! };
    }
  }
}
