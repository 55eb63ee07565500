/** What the registers of a local APIC say about whom a message reaches. From any thread. */
import { Vcpu } from "../../host/layout.js";
import type { Words } from "../../host/words.js";

/** Bits of IA32_APIC_BASE. */
export const enum Base {
  boot = 1 << 8,
  x2apic = 1 << 10,
  enabled = 1 << 11,
}
/** Where the APIC page is. */
export const BASE_ADDRESS = 0xfee00000;

/** Software enable, in the spurious-interrupt vector register. */
export const SVR_ENABLED = 1 << 8;
/** The destination format of a flat logical map: all ones. */
export const DFR_FLAT = -1;
/** And of a cluster map. */
export const DFR_CLUSTER = 0x0fffffff;

/** An entry of the local vector table that is masked. */
export const LVT_MASKED = 1 << 16;
const LVT_MODE = 0x700;
/** One that is open for a pair of 8259s. */
export const LVT_EXT_INT = 0x700;

/** Is there an APIC: is it enabled in its base register? */
export function isPresent(words: Words, vcpu: number): boolean {
  return (words.load(vcpu + Vcpu.base) & Base.enabled) !== 0;
}

/** Is it in x2APIC mode? */
export function isX2apic(words: Words, vcpu: number): boolean {
  return (words.load(vcpu + Vcpu.base) & (Base.enabled | Base.x2apic)) === (Base.enabled | Base.x2apic);
}

/** Has its software enabled it? */
export function isEnabled(words: Words, vcpu: number): boolean {
  return (words.load(vcpu + Vcpu.svr) & SVR_ENABLED) !== 0;
}

/** Does it take what a pair of 8259s asks for (kvm_apic_accept_pic_intr)? By its LINT0, or past it where it is off in its base register. */
export function takesExtInt(words: Words, vcpu: number): boolean {
  const open = (words.load(vcpu + Vcpu.lvt0) & (LVT_MASKED | LVT_MODE)) === LVT_EXT_INT;
  return open || !isPresent(words, vcpu);
}

/** The id that its guest may change, in xAPIC mode. */
export function xapicIdOf(words: Words, vcpu: number): number {
  return words.load(vcpu + Vcpu.apicId) >>> 24;
}

/** The logical id in xAPIC mode: eight bits. */
export function logicalIdOf(words: Words, vcpu: number): number {
  return words.load(vcpu + Vcpu.ldr) >>> 24;
}

/** The LDR in x2APIC mode, which follows from the id. */
export function x2apicLdrOf(id: number): number {
  return ((id >>> 4) << 16) | (1 << (id & 15));
}
