/**
 * The registers of a local APIC as its guest reads and writes them, by their offset in the APIC page; in x2APIC mode an MSR is that of
 * offset (msr - 0x800) * 16 (SDM volume 3, "Local APIC register address map"; kvm_lapic_reg_read, kvm_lapic_reg_write). Those whose
 * write does more than to store are in `local-apic.ts`.
 */
import { Vcpu } from "../../host/layout.js";
import type { Words } from "../../host/words.js";
import { processorPriority } from "../lapic.js";
import { isEnabled, isX2apic, LVT_MASKED } from "./mode.js";

/** Offsets in the page. */
export const enum Register {
  id = 0x20,
  version = 0x30,
  tpr = 0x80,
  arbitration = 0x90,
  ppr = 0xa0,
  eoi = 0xb0,
  ldr = 0xd0,
  dfr = 0xe0,
  svr = 0xf0,
  isr = 0x100,
  tmr = 0x180,
  irr = 0x200,
  irrEnd = 0x280,
  esr = 0x280,
  icr = 0x300,
  icr2 = 0x310,
  lvtTimer = 0x320,
  lvtThermal = 0x330,
  lvtCounter = 0x340,
  lvt0 = 0x350,
  lvt1 = 0x360,
  lvtError = 0x370,
  initialCount = 0x380,
  currentCount = 0x390,
  divide = 0x3e0,
  selfIpi = 0x3f0,
}

/** Version 0x14, with six entries in the local vector table. */
const VERSION = 0x50014;
/** The bits that a guest can set in each entry of the local vector table. */
const LVT_BITS: Readonly<Record<number, number>> = {
  [Register.lvtTimer]: 0x710ff,
  [Register.lvtThermal]: 0x117ff,
  [Register.lvtCounter]: 0x117ff,
  [Register.lvt0]: 0x1f7ff,
  [Register.lvt1]: 0x1f7ff,
  [Register.lvtError]: 0x110ff,
};
const TIMER_MODE = 0x60000;
const DEADLINE_MODE = 0x40000;
const DIVIDE_BITS = 0xb;

/** Where the registers are that are read as they were written. */
const STORED: Readonly<Record<number, Vcpu>> = {
  [Register.id]: Vcpu.apicId,
  [Register.ldr]: Vcpu.ldr,
  [Register.dfr]: Vcpu.dfr,
  [Register.svr]: Vcpu.svr,
  [Register.esr]: Vcpu.esr,
  [Register.icr]: Vcpu.icr,
  [Register.icr2]: Vcpu.icr2,
  [Register.lvtTimer]: Vcpu.lvtTimer,
  [Register.lvtThermal]: Vcpu.lvtThermal,
  [Register.lvtCounter]: Vcpu.lvtCounter,
  [Register.lvt0]: Vcpu.lvt0,
  [Register.lvt1]: Vcpu.lvt1,
  [Register.lvtError]: Vcpu.lvtError,
  [Register.initialCount]: Vcpu.initialCount,
  [Register.divide]: Vcpu.divide,
};

/** What a register holds; undefined where none is to be read. By whoever runs the vCPU, with what is posted taken into IRR. */
export function readRegister(words: Words, vcpu: number, offset: number): number | undefined {
  const stored = STORED[offset];
  if (stored !== undefined) {
    const isHidden = (offset === Register.dfr || offset === Register.icr2) && isX2apic(words, vcpu);
    return isHidden ? undefined : words.load(vcpu + stored) >>> 0;
  }
  if (offset >= Register.isr && offset < Register.irrEnd) return bankAt(words, vcpu, offset);
  switch (offset) {
    case Register.version:
      return VERSION;
    case Register.tpr:
      return words.get(vcpu + Vcpu.tpr);
    case Register.ppr:
      return processorPriority(words, vcpu);
    case Register.arbitration:
      return isX2apic(words, vcpu) ? undefined : 0;
    case Register.currentCount:
      return 0; // no timer runs here
    default:
      return undefined;
  }
}

function bankAt(words: Words, vcpu: number, offset: number): number {
  const bank = (offset & 0x7f) >>> 4;
  if (offset < Register.tmr) return words.get(vcpu + Vcpu.isr + bank) >>> 0;
  if (offset < Register.irr) return words.load(vcpu + Vcpu.tmr + bank) >>> 0;
  return words.get(vcpu + Vcpu.irr + bank) >>> 0;
}

/**
 * Writes an entry of the local vector table, or one of the timer's other registers. Returns false for any other offset. An entry is masked while the
 * APIC is disabled by its software.
 */
export function writeEntry(words: Words, vcpu: number, offset: number, value: number): boolean {
  const word = STORED[offset];
  if (word === undefined) return false;
  if (offset === Register.divide) {
    words.store(vcpu + word, value & DIVIDE_BITS);
    return true;
  }
  const countsToDeadline = isDeadline(words.load(vcpu + Vcpu.lvtTimer));
  if (offset === Register.initialCount) {
    if (!countsToDeadline) words.store(vcpu + word, value | 0);
    return true;
  }
  const bits = LVT_BITS[offset];
  if (bits === undefined) return false;
  const entry = (isEnabled(words, vcpu) ? value : value | LVT_MASKED) & bits;
  if (offset === Register.lvtTimer && isDeadline(entry) !== countsToDeadline)
    words.store(vcpu + Vcpu.initialCount, 0); // that timer stops
  words.store(vcpu + word, entry);
  return true;
}

/** Does this timer entry count to a deadline of the time-stamp counter? */
function isDeadline(entry: number): boolean {
  return (entry & TIMER_MODE) === DEADLINE_MODE;
}
