/**
 * Whom a message reaches: one function for those of devices, of pins and of vCPUs (kvm_irq_delivery_to_apic). As in KVM there is a
 * fast way, by the map, and a slow one, vCPU by vCPU; where they differ, that they do is part of what a guest sees.
 *
 * Under the VM's mutex, or by a sender of an IPI, who looks afterwards whether the registers have changed meanwhile.
 */
import { ApicMap, Vcpu, Vm, VmFlag } from "../../host/layout.js";
import type { HostMemory } from "../../host/memory.js";
import type { Words } from "../../host/words.js";
import { vcpusOf } from "../vcpus.js";
import { Delivery, isLowestPriority, type Message, Shorthand } from "./message.js";
import { DFR_CLUSTER, DFR_FLAT, isEnabled, isPresent, isX2apic, logicalIdOf, xapicIdOf } from "./mode.js";

/** The broadcast of xAPIC mode, and that of x2APIC mode. */
const BROADCAST = 0xff;
const X2APIC_BROADCAST = 0xffffffff;

/** Whom a message reaches. */
export interface Targets {
  readonly vcpus: readonly number[];
  /** What KVM_SIGNAL_MSI says where that is nobody: 0 by the fast way, -1 by the slow one. */
  readonly missed: 0 | -1;
  readonly delivery: Delivery;
}

/** `source` is the vCPU that sends an IPI, 0 for a device. */
export function targetsOf(memory: HostMemory, vm: number, message: Message, source: number): Targets {
  const { words } = memory;
  const { shorthand, delivery } = message;
  if (shorthand === Shorthand.self) return { vcpus: [source], missed: 0, delivery };
  const map = words.load(vm + Vm.apicMap);
  const byMap =
    shorthand === Shorthand.none && map !== ApicMap.none && !isBroadcast(words, vm, message, source);
  if (!byMap || (message.logical && map === ApicMap.mixed)) return scan(memory, vm, message, source);
  if (!message.logical) {
    const vcpu = withId(memory, vm, message.destination);
    return { vcpus: vcpu === 0 ? [] : [vcpu], missed: 0, delivery };
  }
  const found = membersOf(memory, vm, map, message.destination);
  if (!isLowestPriority(message)) return { vcpus: found.filter((vcpu) => vcpu !== 0), missed: 0, delivery };
  const chosen = oneOf(words, vm, found, message.vector);
  return { vcpus: chosen === 0 ? [] : [chosen], missed: 0, delivery };
}

/** Is it for everybody? Where the quirk is off, 0xff is an x2APIC's id like any other (KVM_X2APIC_API_DISABLE_BROADCAST_QUIRK). */
function isBroadcast(words: Words, vm: number, { destination }: Message, source: number): boolean {
  if (hasQuirk(words, vm)) {
    const isX2apicIpi = source !== 0 && isX2apic(words, source);
    return destination === (isX2apicIpi ? X2APIC_BROADCAST : BROADCAST);
  }
  if (destination === BROADCAST) return words.load(vm + Vm.apicMap) !== ApicMap.x2apic;
  return destination === X2APIC_BROADCAST;
}

function hasQuirk(words: Words, vm: number): boolean {
  return (words.get(vm + Vm.flags) & VmFlag.noBroadcastQuirk) === 0;
}

/** The vCPU that the map has for a physical destination, 0 for none. */
function withId(memory: HostMemory, vm: number, id: number): number {
  const { words } = memory;
  // What nearly all are: the vCPU of that index. Nobody else has its id, or comes before it.
  if (id < words.get(vm + Vm.vcpus)) {
    const vcpu = words.get(vm + Vm.vcpu + id);
    if (words.get(vcpu + Vcpu.id) === id && isX2apic(words, vcpu)) return vcpu;
  }
  const longIds = (words.get(vm + Vm.flags) & VmFlag.shortIds) === 0;
  let found = 0;
  for (const vcpu of vcpusOf(memory, vm)) {
    if (!isPresent(words, vcpu)) continue;
    const x2apic = isX2apic(words, vcpu);
    const x2apicId = words.get(vcpu + Vcpu.id);
    // An id that xAPIC mode has no room for is reached all the same, and it comes before what is 0 to 255 by accident.
    if (x2apicId === id && (x2apic || (longIds && id > 0xff))) found = vcpu;
    else if (!x2apic && found === 0 && xapicIdOf(words, vcpu) === id) found = vcpu;
  }
  return found;
}

/** The vCPUs of the bits of a logical destination, ascending, with 0 for a bit that nobody has. */
function membersOf(memory: HostMemory, vm: number, map: ApicMap, destination: number): number[] {
  const { words } = memory;
  if (map === ApicMap.softwareDisabled) return [];
  if (map === ApicMap.x2apic) {
    const first = (destination >>> 16) * 16;
    const last = highestId(memory, vm);
    const mask = first > last ? 0 : destination & (0xffff >>> Math.max(0, 15 - (last - first)));
    return bitsOf(mask).map((bit) => withId(memory, vm, first + bit));
  }
  const cluster = map === ApicMap.cluster;
  const mask = destination & (cluster ? 0xf : 0xff);
  const members = new Array<number>(8).fill(0);
  for (const vcpu of vcpusOf(memory, vm)) {
    if (!isPresent(words, vcpu) || !isEnabled(words, vcpu)) continue;
    const id = logicalIdOf(words, vcpu);
    if (cluster && id >>> 4 !== ((destination >>> 4) & 0xf)) continue;
    const mine = cluster ? id & 0xf : id;
    if (mine !== 0) members[31 - Math.clz32(mine)] = vcpu;
  }
  return bitsOf(mask).map((bit) => members[bit]!);
}

/** The size of the map, less one: the highest id of those that are there, and at least 255. */
function highestId(memory: HostMemory, vm: number): number {
  const { words } = memory;
  let highest = 0xff;
  for (const vcpu of vcpusOf(memory, vm))
    if (isPresent(words, vcpu)) highest = Math.max(highest, words.get(vcpu + Vcpu.id));
  return highest;
}

function bitsOf(mask: number): number[] {
  const bits: number[] = [];
  for (let left = mask; left !== 0; left &= left - 1) bits.push(31 - Math.clz32(left & -left));
  return bits;
}

/**
 * Arbitration, 0 for nobody: the vector says which of them it is, so also one that is not there; without vector hashing they take turns
 * (kvm_vector_to_index, kvm_apic_compare_prio). Priorities have no part in it.
 */
function oneOf(words: Words, vm: number, among: readonly number[], vector: number): number {
  if (among.length === 0) return 0;
  if ((words.get(vm + Vm.flags) & VmFlag.noVectorHashing) === 0) return among[vector % among.length]!;
  const turn = (vcpu: number) => words.load(vcpu + Vcpu.arbitration);
  return among
    .filter((vcpu) => vcpu !== 0)
    .reduce((first, vcpu) => (first === 0 || turn(vcpu) < turn(first) ? vcpu : first), 0);
}

/** The slow way: each vCPU is asked whether it is meant. */
function scan(memory: HostMemory, vm: number, message: Message, source: number): Targets {
  const { words } = memory;
  const { destination, logical } = message;
  // What is for everybody cannot be for one; a redirection hint is not in the way of that.
  const toAll = !logical && destination === BROADCAST && isLowestPriority(message);
  const delivery = toAll ? Delivery.fixed : message.delivery;
  const lowest = delivery === Delivery.lowestPriority || message.redirected;
  const quirk = hasQuirk(words, vm);
  const vcpus: number[] = [];
  for (const vcpu of vcpusOf(memory, vm)) {
    if (!isPresent(words, vcpu) || (lowest && !isEnabled(words, vcpu))) continue;
    if (isMeant(words, vcpu, message, source, quirk)) vcpus.push(vcpu);
  }
  if (vcpus.length === 0 || !lowest) return { vcpus, missed: -1, delivery };
  return { vcpus: [oneOf(words, vm, vcpus, message.vector)], missed: -1, delivery };
}

/** kvm_apic_match_dest. */
export function isMeant(
  words: Words,
  vcpu: number,
  message: Message,
  source: number,
  quirk: boolean,
): boolean {
  const { shorthand, destination, logical } = message;
  if (shorthand === Shorthand.all) return true;
  if (shorthand === Shorthand.others) return vcpu !== source;
  const x2apic = isX2apic(words, vcpu);
  if (destination === BROADCAST && quirk && source === 0 && x2apic) return true;
  if (destination === (x2apic ? X2APIC_BROADCAST : BROADCAST)) return true;
  if (!logical) {
    const byX2apicId = x2apic || destination > 0xff;
    return destination === (byX2apicId ? words.get(vcpu + Vcpu.id) : xapicIdOf(words, vcpu));
  }
  if (x2apic) {
    const ldr = words.load(vcpu + Vcpu.ldr);
    return ldr >>> 16 === destination >>> 16 && (ldr & destination & 0xffff) !== 0;
  }
  const id = logicalIdOf(words, vcpu);
  switch (words.load(vcpu + Vcpu.dfr)) {
    case DFR_FLAT:
      return (id & destination) !== 0;
    case DFR_CLUSTER:
      return id >>> 4 === destination >>> 4 && (id & destination & 0xf) !== 0;
    default:
      return false;
  }
}
