/** IA32_APIC_BASE: whether there is a local APIC, and in which mode (kvm_apic_set_base). */
import { Vcpu } from "../../host/layout.js";
import type { Words } from "../../host/words.js";
import { Base, x2apicLdrOf } from "./mode.js";

/** Bits that a guest cannot set: 0 to 7, 9, and what is above the physical addresses. */
const RESERVED = 0x2ffn | ~((1n << 52n) - 1n);

const ON = Base.enabled;
const X2APIC = Base.enabled | Base.x2apic;
const MODE = Base.enabled | Base.x2apic;

/** The register, as 64 bits. */
export function readBase(words: Words, vcpu: number): bigint {
  const high = BigInt(words.get(vcpu + Vcpu.baseHigh) >>> 0);
  return (high << 32n) | BigInt(words.load(vcpu + Vcpu.base) >>> 0);
}

/**
 * May the register be written with this? A guest goes from xAPIC to x2APIC mode and turns either off, and what is off on in xAPIC mode; a
 * VMM goes from any mode to any.
 */
export function mayBe(words: Words, vcpu: number, value: bigint, byGuest: boolean): boolean {
  if ((value & RESERVED) !== 0n) return false;
  const next = Number(value & 0xffffffffn) & MODE;
  const now = words.load(vcpu + Vcpu.base) & MODE;
  if (next === Base.x2apic) return false;
  if (!byGuest || next === now) return true;
  return next !== X2APIC ? !(now === X2APIC && next === ON) : now === ON;
}

/** Writes it, with what follows for the ids. Part of a change of the map. */
export function writeBase(words: Words, vcpu: number, value: bigint): void {
  const low = Number(BigInt.asIntN(32, value));
  const changed = words.load(vcpu + Vcpu.base) ^ low;
  const id = words.get(vcpu + Vcpu.id);
  words.store(vcpu + Vcpu.base, low);
  words.set(vcpu + Vcpu.baseHigh, Number(BigInt.asIntN(32, value >> 32n)));
  // Turned off, the id stays as it lies there.
  if (changed & MODE && low & Base.enabled && !(low & Base.x2apic)) words.store(vcpu + Vcpu.apicId, id << 24);
  if (changed & Base.x2apic && low & Base.x2apic) {
    words.store(vcpu + Vcpu.apicId, id);
    words.store(vcpu + Vcpu.ldr, x2apicLdrOf(id)); // and it stays when that mode ends
  }
}
