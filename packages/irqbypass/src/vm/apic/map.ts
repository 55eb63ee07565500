/**
 * How the messages of a VM find their local APICs, decided when a register changes and not when a message comes
 * (kvm_recalculate_apic_map): in which mode the logical destinations are, and whether the ids are unambiguous.
 */
import { ApicMap, Vcpu, Vm, VmFlag } from "../../host/layout.js";
import type { HostMemory } from "../../host/memory.js";
import type { Words } from "../../host/words.js";
import { vcpusOf } from "../vcpus.js";
import { DFR_FLAT, isEnabled, isPresent, isX2apic, logicalIdOf, xapicIdOf } from "./mode.js";

/** What the registers of a VM's local APICs come to. Under the VM's mutex. */
export function mapOf(memory: HostMemory, vm: number): ApicMap {
  const { words } = memory;
  const present = [...vcpusOf(memory, vm)].filter((vcpu) => isPresent(words, vcpu));
  const longIds = (words.get(vm + Vm.flags) & VmFlag.shortIds) === 0;
  return !longIds && hasAliases(words, present) ? ApicMap.none : logicalMap(words, present);
}

/** Have two of them one id? With long ids that is for the first of them, and nobody minds. */
function hasAliases(words: Words, present: readonly number[]): boolean {
  const ids = present.map((vcpu) =>
    isX2apic(words, vcpu) ? words.get(vcpu + Vcpu.id) : xapicIdOf(words, vcpu),
  );
  return new Set(ids).size < ids.length;
}

function logicalMap(words: Words, present: readonly number[]): ApicMap {
  let map = ApicMap.softwareDisabled;
  const taken = new Set<number>();
  for (const vcpu of present) {
    if (!isEnabled(words, vcpu) || words.load(vcpu + Vcpu.ldr) === 0) continue;
    const mode = modeOf(words, vcpu);
    if (map !== ApicMap.softwareDisabled && map !== mode) return ApicMap.mixed;
    map = mode;
    if (mode === ApicMap.x2apic) continue;
    const id = logicalIdOf(words, vcpu);
    const bits = mode === ApicMap.flat ? id : id & 0xf;
    if (bits === 0) continue;
    if ((bits & (bits - 1)) !== 0 || taken.has(id)) return ApicMap.mixed;
    taken.add(id);
  }
  return map;
}

/** All that is not all ones counts as cluster here, whereas {@link scan} knows one value for that. */
function modeOf(words: Words, vcpu: number): ApicMap {
  if (isX2apic(words, vcpu)) return ApicMap.x2apic;
  return words.load(vcpu + Vcpu.dfr) === DFR_FLAT ? ApicMap.flat : ApicMap.cluster;
}
