/**
 * The registers of an I/O APIC as its guest sees them through the window, by their index (82093AA, "I/O APIC registers";
 * arch/x86/kvm/ioapic.c), wherever they are kept.
 */
import { IOAPIC_PINS } from "../host/layout.js";

/** Bits of a redirection entry's low word. */
export const enum Entry {
  logical = 1 << 11,
  remoteIrr = 1 << 14,
  level = 1 << 15,
  masked = 1 << 16,
  /** What a guest cannot write: delivery status and remote IRR. */
  readOnly = (1 << 12) | (1 << 14),
}

/** Indexes of registers. The others, but for the redirection entries, read all ones and take no write. */
export const enum Register {
  id = 0,
  version = 1,
  arbitration = 2,
  redirection = 0x10,
}

/** Version 0x11, and the number of the last pin. There is no register for an EOI: those come by their vector. */
export const IOAPIC_VERSION = ((IOAPIC_PINS - 1) << 16) | 0x11;
/** What a register reads that is not there. */
export const NO_REGISTER = 0xffffffff;

/** The four bits that the id has, as its register and that of the arbitration id show them. */
export function idBits(value: number): number {
  return value & 0x0f000000;
}

/** The pin of a redirection entry's register, -1 for another register. */
export function pinOfRegister(register: number): number {
  const pin = (register - Register.redirection) >> 1;
  return register >= Register.redirection && pin < IOAPIC_PINS ? pin : -1;
}

/** Is it the upper half of an entry? */
export function isHighHalf(register: number): boolean {
  return (register & 1) !== 0;
}

/**
 * The low half of an entry after a guest's write to it or, with `old` itself, to the upper half: it keeps its read-only bits, and an
 * edge has no remote IRR, so that this is a way to end a level's service.
 */
export function writtenLow(old: number, value: number): number {
  const low = (value & ~Entry.readOnly) | (old & Entry.readOnly);
  return (low & Entry.level) === 0 ? low & ~Entry.remoteIrr : low;
}
