/**
 * A vCPU of KVM whose local APIC a test programs as its guest would: in x2APIC mode by its MSRs, in xAPIC mode by a guest of one
 * instruction that runs with interrupts off.
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

const STORE = 0x1000;
const LOAD = 0x1010;
/** mov [ebx], eax; out 0xf4, al; jmp . and the same with mov eax, [ebx]. */
const store = [0x67, 0x66, 0x89, 0x03, 0xe6, 0xf4, 0xeb, 0xfe];
const load = [0x67, 0x66, 0x8b, 0x03, 0xe6, 0xf4, 0xeb, 0xfe];
const PAGE = 0xfee00000n;
const RAX = 0;
const RBX = 8;
const RIP = 16 * 8;
const RFLAGS = 17 * 8;
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
  bytes.set(store, STORE);
  bytes.set(load, LOAD);
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
    this.execute(STORE, offset, value);
  }

  load(offset: number): number {
    const regs = this.execute(LOAD, offset, 0);
    return Number(regs.getBigUint64(RAX, true) & LOW);
  }

  private execute(code: number, offset: number, value: number): DataView {
    this.readySegments();
    // It would take them; while they are masked one that it sends itself is kept.
    const nmis = this.nmis();
    this.setNmis(0, true);
    const regs = new DataView(new ArrayBuffer(REGS_BYTES));
    regs.setBigUint64(RAX, BigInt(value >>> 0), true);
    regs.setBigUint64(RBX, PAGE + BigInt(offset), true);
    regs.setBigUint64(RIP, BigInt(code), true);
    regs.setBigUint64(RFLAGS, 2n, true);
    this.ask(KVM_SET_REGS, regs);
    this.enter();
    this.ask(KVM_GET_REGS, regs);
    this.setNmis(nmis + this.nmis(), false);
    return regs;
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
