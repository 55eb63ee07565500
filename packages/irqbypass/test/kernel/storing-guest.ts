/**
 * A vCPU of KVM that makes one store at a time, in the calling thread: real-mode code of a few bytes, and KVM_RUN. A store that an
 * ioeventfd takes comes back with nothing; any other leaves the guest as an exit to user space.
 */
import { KVM_EXIT_IO, KVM_RUN } from "#src/kvm/ioctl.js";
import { setRealModeSegment } from "#src/kvm/structs.js";
import type { KvmVcpu } from "#src/kvm/vcpu.js";
import { checked } from "#src/linux/checked.js";
import { type Ffi, MAP_SHARED, PROT_READ } from "#src/linux/ffi.js";

const CODE = 0x1000;
const VALUE = 0x1800;
/** Says that the store is through. */
const DONE = 0xf4;
const KVM_EXIT_MMIO = 6;
const EINTR = -4;

/** Where the guest's segment for memory begins: it has none there, so that each access is an exit, or a doorbell. */
export const MMIO_BASE = 0xe0000;

export type StoreLength = 1 | 2 | 4 | 8;

const bytesOf = (value: bigint, length: number) =>
  Array.from({ length }, (_, i) => Number((value >> BigInt(8 * i)) & 0xffn));

/** A store to memory at an offset from {@link MMIO_BASE}; of 8 bytes, by way of MM0. */
function storeToMemory(offset: number, length: StoreLength, value: bigint): number[] {
  const at = bytesOf(BigInt(offset), 2);
  if (length === 1) return [0xc6, 0x06, ...at, ...bytesOf(value, 1)];
  if (length === 2) return [0xc7, 0x06, ...at, ...bytesOf(value, 2)];
  if (length === 4) return [0x66, 0xc7, 0x06, ...at, ...bytesOf(value, 4)];
  // movq mm0, cs:[VALUE]; movq [offset], mm0
  return [0x2e, 0x0f, 0x6f, 0x06, ...bytesOf(BigInt(VALUE), 2), 0x0f, 0x7f, 0x06, ...at];
}

/** mov eax, value; mov dx, port; out dx, al or ax or eax. */
function storeToPort(port: number, length: 1 | 2 | 4, value: bigint): number[] {
  const out = { 1: [0xee], 2: [0xef], 4: [0x66, 0xef] }[length];
  return [0x66, 0xb8, ...bytesOf(value, 4), 0xba, ...bytesOf(BigInt(port), 2), ...out];
}

export class StoringGuest implements Disposable {
  private readonly run: number;
  private readonly area = new DataView(new ArrayBuffer(64));
  private readonly bytes: Uint8Array;

  /** Of a machine with memory of 64 KiB; nobody else runs the vCPU. */
  constructor(
    private readonly ffi: Ffi,
    memory: { readonly buffer: ArrayBufferLike },
    private readonly vcpu: KvmVcpu,
    private readonly runBytes: number,
  ) {
    this.bytes = new Uint8Array(memory.buffer);
    vcpu.changeSpecialRegisters((sregs) => {
      for (const segment of ["cs", "es", "ss"] as const) setRealModeSegment(sregs, segment, 0);
      setRealModeSegment(sregs, "ds", MMIO_BASE >> 4);
    });
    this.run = checked(ffi.mmap(runBytes, PROT_READ, MAP_SHARED, vcpu.fd, 0), "mmap", "a vCPU");
  }

  /** Makes a store; true where nobody in user space is asked to do it. */
  store(space: "mmio" | "pio", address: number, length: StoreLength, value: bigint): boolean {
    if (space === "pio" && length === 8) throw new Error("no instruction writes 8 bytes to a port");
    const code =
      space === "mmio"
        ? storeToMemory(address - MMIO_BASE, length, value)
        : storeToPort(address, length as 1 | 2 | 4, value);
    this.bytes.set(bytesOf(value, 8), VALUE);
    this.bytes.set([...code, 0xe6, DONE], CODE); // out DONE, al
    this.vcpu.setRegisters({ rip: CODE, rsp: 0x7000, rflags: 2 });
    let taken = true;
    for (;;) {
      const result = this.ffi.ioctl(this.vcpu.fd, KVM_RUN.request, 0);
      if (result === EINTR) continue;
      checked(result, "KVM_RUN", "a vCPU");
      this.ffi.copyFrom(this.run, this.area);
      const reason = this.area.getUint32(8, true);
      if (reason === KVM_EXIT_IO && this.area.getUint16(34, true) === DONE) return taken;
      if (reason !== KVM_EXIT_IO && reason !== KVM_EXIT_MMIO)
        throw new Error(`the guest left with exit reason ${reason}`);
      taken = false; // and goes on as if the store had been made
    }
  }

  [Symbol.dispose](): void {
    this.ffi.munmap(this.run, this.runBytes);
  }
}
