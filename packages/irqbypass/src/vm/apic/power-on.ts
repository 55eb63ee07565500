/** How the registers of a local APIC begin: as firmware leaves them, after a reset, and after an INIT. */
import { Vcpu, Vm, VmFlag } from "../../host/layout.js";
import type { HostMemory } from "../../host/memory.js";
import type { Words } from "../../host/words.js";
import { harvest } from "../../posting/fast-path.js";
import {
  BASE_ADDRESS,
  Base,
  DFR_FLAT,
  isX2apic,
  LVT_EXT_INT,
  LVT_MASKED,
  SVR_ENABLED,
  x2apicLdrOf,
} from "./mode.js";

const SPURIOUS = 0xff;
const BANKS = 8;

const LVTS = [
  ...[Vcpu.lvtTimer, Vcpu.lvtThermal, Vcpu.lvtCounter],
  ...[Vcpu.lvt0, Vcpu.lvt1, Vcpu.lvtError],
] as const;

/**
 * The registers of a vCPU that is new, all others being 0: enabled, in x2APIC mode, its pins masked. That is how firmware hands a
 * processor over, and how the guest of a `KvmVm` begins; a VMM that runs firmware resets it first. LINT0 of the boot processor is open
 * for a pair of 8259s where there is one.
 */
export function begin(words: Words, vcpu: number, id: number): void {
  words.set(vcpu + Vcpu.id, id);
  setBase(words, vcpu, BASE_ADDRESS | Base.enabled | Base.x2apic | (id === 0 ? Base.boot : 0));
  words.store(vcpu + Vcpu.apicId, id);
  words.store(vcpu + Vcpu.ldr, x2apicLdrOf(id));
  words.store(vcpu + Vcpu.dfr, DFR_FLAT);
  words.store(vcpu + Vcpu.svr, SVR_ENABLED | SPURIOUS);
  maskAll(words, vcpu);
  const hasPic = (words.get(words.get(vcpu + Vcpu.vm) + Vm.flags) & VmFlag.pic) !== 0;
  if (hasPic && id === 0) words.store(vcpu + Vcpu.lvt0, LVT_EXT_INT);
}

/** Power-on: in xAPIC mode at the usual place, disabled by software (kvm_lapic_reset). As all of these, as a change of the map. */
export function reset(memory: HostMemory, vcpu: number): void {
  const { words } = memory;
  const id = words.get(vcpu + Vcpu.id);
  setBase(words, vcpu, BASE_ADDRESS | Base.enabled | (id === 0 ? Base.boot : 0));
  words.set(vcpu + Vcpu.baseHigh, 0);
  words.store(vcpu + Vcpu.apicId, id << 24);
  clear(memory, vcpu);
}

/** What an INIT leaves of a local APIC: base, mode and id; the rest is as after a reset, and no NMI is pending. */
export function clear(memory: HostMemory, vcpu: number): void {
  const { words } = memory;
  maskAll(words, vcpu);
  if (words.get(vcpu + Vcpu.id) === 0) words.store(vcpu + Vcpu.lvt0, LVT_EXT_INT);
  words.store(vcpu + Vcpu.dfr, DFR_FLAT);
  words.store(vcpu + Vcpu.svr, SPURIOUS);
  if (!isX2apic(words, vcpu)) words.store(vcpu + Vcpu.ldr, 0);
  const upperIcr = isX2apic(words, vcpu) ? Vcpu.icrHigh : Vcpu.icr2;
  for (const word of [Vcpu.icr, upperIcr, Vcpu.esr, Vcpu.initialCount, Vcpu.divide])
    words.store(vcpu + word, 0);
  words.set(vcpu + Vcpu.tpr, 0);
  words.set(vcpu + Vcpu.pendingNmis, 0);
  harvest(memory, vcpu + Vcpu.descriptor, vcpu + Vcpu.irr);
  for (let bank = 0; bank < BANKS; bank++) {
    words.set(vcpu + Vcpu.irr + bank, 0);
    words.set(vcpu + Vcpu.isr + bank, 0);
    words.store(vcpu + Vcpu.tmr + bank, 0);
  }
  words.store(vcpu + Vcpu.nmis, 0);
  words.store(vcpu + Vcpu.arbitration, 0);
}

function setBase(words: Words, vcpu: number, low: number): void {
  words.store(vcpu + Vcpu.base, low | 0);
}

/** Masks every entry of the local vector table; with `keep` each keeps what else it says. */
export function maskAll(words: Words, vcpu: number, keep = false): void {
  for (const lvt of LVTS) words.store(vcpu + lvt, keep ? words.load(vcpu + lvt) | LVT_MASKED : LVT_MASKED);
}
