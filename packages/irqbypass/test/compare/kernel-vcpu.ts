/**
 * A vCPU of KVM whose local APIC a test programs as its guest would: in x2APIC mode by its MSRs, in xAPIC mode by a guest of one
 * instruction that runs with interrupts off. By such instructions it reaches the other interrupt chips, too.
 */

import { createMemory, type WasmMemory } from "#src/host/wasm.js";
import {
  KVM_GET_LAPIC,
  KVM_GET_REGS,
  KVM_GET_SREGS,
  KVM_SET_LAPIC,
  KVM_SET_REGS,
  KVM_SET_SREGS,
} from "#src/kvm/ioctl.js";
import type { Kvm } from "#src/kvm/kvm.js";
import type { KvmMachine } from "#src/kvm/machine.js";
import { LAPIC_BYTES, SREGS_BYTES } from "#src/kvm/structs.js";
import { VcpuHere } from "../kvm/vcpu-here.js";
import {
  EVENTS_BYTES,
  KVM_GET_MP_STATE,
  KVM_GET_MSRS,
  KVM_GET_VCPU_EVENTS,
  KVM_SET_MSRS,
  KVM_SET_VCPU_EVENTS,
} from "./requests.js";

const DONE = 0xf4;
const TOOK = 0xf6;
/** What it executes: where that is, and its bytes. All leave by `out DONE, al`. */
const CODE = {
  store1: [0x1000, [0x67, 0x88, 0x03]], // mov [ebx], al
  store2: [0x1010, [0x67, 0x89, 0x03]],
  store4: [0x1020, [0x67, 0x66, 0x89, 0x03]],
  load1: [0x1030, [0x67, 0x8a, 0x03]], // mov al, [ebx]
  load2: [0x1040, [0x67, 0x8b, 0x03]],
  load4: [0x1050, [0x67, 0x66, 0x8b, 0x03]],
  out: [0x1060, [0xee]], // out dx, al
  in: [0x1070, [0xec]], // in al, dx
  nothing: [0x1080, []],
  window: [0x1090, [0x90, 0xfa]], // nop; cli, with interrupts on
} as const satisfies Record<string, readonly [at: number, bytes: readonly number[]]>;
/** The handlers of its interrupts, which say their vector: mov al, vector; out TOOK, al; jmp . */
const HANDLERS = 0x3000;
const STACK = 0x8000;
const RDX = 3 * 8;
const RSP = 6 * 8;
const PAGE = 0xfee00000n;
const RAX = 0;
const RBX = 8;
const RIP = 16 * 8;
const RFLAGS = 17 * 8;
const INTERRUPTS_OFF = 2n;
const INTERRUPTS_ON = 0x202n;
const REGS_BYTES = 144;
const SEGMENT_BYTES = 24;
const SEGMENTS = 6;
const NMI_PENDING_AT = 13;
const NMI_MASKED_AT = 14;
const TPR_AT = 0x80;
const TPR_MSR = 0x808;
const EVENT_FLAGS_AT = 20;
const VALID_NMI_PENDING = 1;
const APIC_BASE_MSR = 0x1b;
const LOW = 0xffffffffn;

/** Guest memory with that code. */
export function storingMemory(): WasmMemory {
  const memory = createMemory(1);
  const bytes = new Uint8Array(memory.buffer);
  for (const [at, code] of Object.values(CODE)) bytes.set([...code, 0xe6, DONE, 0xeb, 0xfe], at);
  for (let vector = 0; vector < 256; vector++) {
    const at = HANDLERS + vector * 8;
    bytes.set([0xb0, vector, 0xe6, TOOK, 0xeb, 0xfe], at);
    bytes.set([at & 0xff, at >> 8, 0, 0], vector * 4);
  }
  return memory;
}

export class KernelVcpu extends VcpuHere {
  constructor(machine: KvmMachine, kvm: Kvm, id: number) {
    super(machine, kvm, id);
    this.readySegments();
  }

  lapic(): DataView {
    const lapic = new DataView(new ArrayBuffer(LAPIC_BYTES));
    this.ask(KVM_GET_LAPIC, lapic);
    return lapic;
  }

  setLapic(lapic: DataView): void {
    this.ask(KVM_SET_LAPIC, lapic);
  }

  /** KVM_GET_MP_STATE, which applies INIT and start-up. */
  state(): number {
    const state = new Uint32Array(1);
    this.ask(KVM_GET_MP_STATE, state);
    return state[0]!;
  }

  nmis(): number {
    return this.events().getUint8(NMI_PENDING_AT);
  }

  /** undefined for a #GP. */
  readMsr(msr: number): bigint | undefined {
    const msrs = msrOf(msr, 0n);
    const done = this.machine.ffi.ioctlBuffer(this.fd, KVM_GET_MSRS.request, msrs);
    return done === 1 ? msrs.getBigUint64(16, true) : undefined;
  }

  /** false for a #GP. */
  writeMsr(msr: number, value: bigint): boolean {
    return this.machine.ffi.ioctlBuffer(this.fd, KVM_SET_MSRS.request, msrOf(msr, value)) === 1;
  }

  get base(): bigint {
    return this.readMsr(APIC_BASE_MSR)!;
  }

  /** What a store of the guest to its APIC page does; the vCPU must be runnable. */
  store(offset: number, value: number): void {
    this.storeAt(PAGE + BigInt(offset), value);
  }

  load(offset: number): number {
    return this.loadAt(PAGE + BigInt(offset));
  }

  /** A store of 1, 2 or 4 bytes to any address. */
  storeAt(address: bigint, value: number, length: 1 | 2 | 4 = 4): void {
    this.execute(`store${length}`, { eax: value, ebx: address });
  }

  loadAt(address: bigint, length: 1 | 2 | 4 = 4): number {
    return this.execute(`load${length}`, { ebx: address }).eax;
  }

  out(port: number, value: number): void {
    this.execute("out", { eax: value, edx: port });
  }

  in(port: number): number {
    return this.execute("in", { edx: port }).eax & 0xff;
  }

  /** Goes into the guest and out of it: what KVM puts off until then is done. */
  pass(): void {
    this.execute("nothing", {});
  }

  /** Lets one interrupt in, if one can come; returns its vector. */
  take(): number | undefined {
    const { port, eax } = this.execute("window", {});
    return port === TOOK ? eax & 0xff : undefined;
  }

  private execute(
    code: keyof typeof CODE,
    { eax = 0, ebx = 0n, edx = 0 }: { eax?: number; ebx?: bigint; edx?: number },
  ): { readonly port: number; readonly eax: number } {
    this.readySegments();
    // It would take them; while they are masked one that it sends itself is kept.
    const nmis = this.nmis();
    this.setNmis(0, true);
    const regs = new DataView(new ArrayBuffer(REGS_BYTES));
    regs.setBigUint64(RAX, BigInt(eax >>> 0), true);
    regs.setBigUint64(RBX, ebx, true);
    regs.setBigUint64(RDX, BigInt(edx), true);
    regs.setBigUint64(RSP, BigInt(STACK), true);
    regs.setBigUint64(RIP, BigInt(CODE[code][0]), true);
    regs.setBigUint64(RFLAGS, code === "window" ? INTERRUPTS_ON : INTERRUPTS_OFF, true);
    this.ask(KVM_SET_REGS, regs);
    const { port } = this.enter();
    this.ask(KVM_GET_REGS, regs);
    this.setNmis(nmis + this.nmis(), false);
    return { port, eax: Number(regs.getBigUint64(RAX, true) & LOW) };
  }

  /** Real mode with segments of 4 GiB from 0 on. An INIT takes that away; and setting it takes the lower half of TPR, which is put back. */
  private readySegments(): void {
    const sregs = new DataView(new ArrayBuffer(SREGS_BYTES));
    this.ask(KVM_GET_SREGS, sregs);
    // The limit of DS, and the selector of CS: a start-up with vector 0 leaves that as it is here.
    if (sregs.getUint32(SEGMENT_BYTES + 8, true) === 0xffffffff && sregs.getUint16(12, true) === 0) return;
    const tpr = this.lapic().getUint32(TPR_AT, true);
    for (let segment = 0; segment < SEGMENTS; segment++) {
      const at = segment * SEGMENT_BYTES;
      sregs.setBigUint64(at, 0n, true);
      sregs.setUint16(at + 12, 0, true);
      if (segment === 0) continue;
      sregs.setUint32(at + 8, 0xffffffff, true);
      sregs.setUint8(at + 20, 1);
    }
    this.ask(KVM_SET_SREGS, sregs);
    if (this.writeMsr(TPR_MSR, BigInt(tpr))) return; // in x2APIC mode, in which setting the whole page says more than it should
    const lapic = this.lapic();
    if (lapic.getUint32(TPR_AT, true) === tpr) return; // for the same reason
    lapic.setUint32(TPR_AT, tpr, true);
    this.setLapic(lapic);
  }

  private events(): DataView {
    const events = new DataView(new ArrayBuffer(EVENTS_BYTES));
    this.ask(KVM_GET_VCPU_EVENTS, events);
    return events;
  }

  private setNmis(count: number, masked: boolean): void {
    const events = this.events();
    events.setUint8(NMI_PENDING_AT, count);
    events.setUint8(NMI_MASKED_AT, masked ? 1 : 0);
    events.setUint32(EVENT_FLAGS_AT, VALID_NMI_PENDING, true);
    this.ask(KVM_SET_VCPU_EVENTS, events);
  }
}

/** struct kvm_msrs of one. */
function msrOf(msr: number, value: bigint): DataView {
  const msrs = new DataView(new ArrayBuffer(24));
  msrs.setUint32(0, 1, true);
  msrs.setUint32(8, msr, true);
  msrs.setBigUint64(16, value, true);
  return msrs;
}
