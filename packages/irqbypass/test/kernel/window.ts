/**
 * A vCPU of KVM that runs in the calling thread, one interrupt at a time, so that a test can end an interrupt without a
 * thread of its own: it enters the guest with interrupts on, and whatever the guest does then, it leaves at once.
 */
import { createMemory, type WasmMemory } from "#src/host/wasm.js";
import { KVM_GET_LAPIC, KVM_GET_SREGS, KVM_SET_LAPIC, KVM_SET_REGS, KVM_SET_SREGS } from "#src/kvm/ioctl.js";
import type { Kvm } from "#src/kvm/kvm.js";
import type { KvmMachine } from "#src/kvm/machine.js";
import {
  addApicBase,
  enableLapic,
  encodeRegs,
  LAPIC_BYTES,
  requestedVectors,
  SREGS_BYTES,
  setRealModeSegment,
  X2APIC_ENABLED,
} from "#src/kvm/structs.js";
import { VcpuHere } from "../kvm/vcpu-here.js";

const IDLE = 0x1000;
const HANDLER = 0x1010;
const STUBS = 0x1100;
const STACKS = 0x8000;
const SERVED = 0xf4;
const INTERRUPTS_ON = 0x202;
const LVT_LINT0_AT = 0x350;
const LVT_MASKED = 0x10000;

/** out 0xf5: no interrupt came; jmp back. */
const idle = [0xe6, 0xf5, 0xeb, 0xfc];
/** EOI by wrmsr to 0x80b, then out 0xf4 with the vector in AL. The next entry begins at the idle code again. */
const handler = [
  ...[0x66, 0x31, 0xc0, 0x66, 0x31, 0xd2, 0x66, 0xb9, 0x0b, 0x08, 0x00, 0x00, 0x0f, 0x30],
  ...[0x88, 0xd8, 0xe6, SERVED, 0xeb, 0xfe],
];

/** Guest memory with that code: a stub for each vector puts its number into BL. */
export function windowMemory(): WasmMemory {
  const memory = createMemory(1);
  const bytes = new Uint8Array(memory.buffer);
  const table = new Uint16Array(memory.buffer, 0, 512);
  bytes.set(idle, IDLE);
  bytes.set(handler, HANDLER);
  for (let vector = 0; vector < 256; vector++) {
    const at = STUBS + vector * 8;
    const jump = HANDLER - (at + 5);
    table[vector * 2] = at;
    bytes.set([0xb3, vector, 0xe9, jump & 0xff, (jump >> 8) & 0xff], at);
  }
  return memory;
}

export class WindowVcpu extends VcpuHere {
  constructor(
    machine: KvmMachine,
    kvm: Pick<Kvm, "runBytes" | "supportedCpuid">,
    readonly index: number,
  ) {
    super(machine, kvm, index);
    const sregs = new DataView(new ArrayBuffer(SREGS_BYTES));
    this.ask(KVM_GET_SREGS, sregs);
    addApicBase(sregs, X2APIC_ENABLED);
    for (const segment of ["cs", "ds", "es", "ss"] as const) setRealModeSegment(sregs, segment, 0);
    this.ask(KVM_SET_SREGS, sregs);
    const lapic = this.lapic();
    enableLapic(lapic);
    // The PICs' output goes nowhere, as in a software VM.
    new DataView(lapic.buffer).setUint32(LVT_LINT0_AT, LVT_MASKED, true);
    this.setLapic(lapic);
  }

  lapic(): Uint8Array {
    const lapic = new Uint8Array(LAPIC_BYTES);
    this.ask(KVM_GET_LAPIC, lapic);
    return lapic;
  }

  setLapic(lapic: Uint8Array): void {
    this.ask(KVM_SET_LAPIC, lapic);
  }

  requested(): number[] {
    return requestedVectors(this.lapic());
  }

  /** Runs the guest until it has taken and ended one interrupt, and returns its vector; undefined if none came. */
  serve(): number | undefined {
    const rsp = STACKS + (this.index + 1) * 0x400;
    this.ask(KVM_SET_REGS, encodeRegs({ rip: IDLE, rsp, rflags: INTERRUPTS_ON }));
    const { port, byte } = this.enter();
    return port === SERVED ? byte : undefined;
  }
}
