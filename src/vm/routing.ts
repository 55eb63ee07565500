/**
 * GSI routing in shared memory: a table per VM, replaced as a whole (virt/kvm/irqchip.c). The live table is read and
 * replaced under the VM's mutex; every irqfd keeps what its GSI comes to in one word, so that a signal reads no table.
 */
import { Route, RouteType, Routing, Vcpu, Vm } from "../host/layout.js";
import type { HostMemory } from "../host/memory.js";
import { post } from "../posting/descriptor.js";
import { posted, relayed } from "../posting/irte.js";
import { decodeMsi, type MsiTarget, matches, type RouteWords } from "./route.js";

const FIXED = 0;
const LOWEST_PRIORITY = 1;

/** Builds a table, not yet anybody's. Throws ENOMEM with nothing left behind. */
export function buildTable(memory: HostMemory, routes: readonly RouteWords[]): number {
  const { words, mutex, pools } = memory;
  const table = mutex.guard(() => pools.routing.allocate());
  try {
    for (const { gsi, type, a, b, c } of routes) {
      const route = mutex.guard(() => pools.route.allocate());
      const head = table + Routing.gsi + gsi;
      words.set(route + Route.type, type);
      words.set(route + Route.a, a);
      words.set(route + Route.b, b);
      words.set(route + Route.c, c);
      words.set(route + Route.next, words.get(head));
      words.set(head, route);
      words.set(table + Routing.count, words.get(table + Routing.count) + 1);
    }
    return table;
  } catch (error) {
    freeTable(memory, table);
    throw error;
  }
}

/** Gives a table back that nobody can reach any more. Holds the host mutex for one record at a time. */
export function freeTable(memory: HostMemory, table: number): void {
  const { words, mutex, pools } = memory;
  let left = words.get(table + Routing.count);
  for (let slot = table + Routing.gsi; left > 0; slot++) {
    for (let route = words.get(slot); route !== 0; left--) {
      const next = words.get(route + Route.next);
      mutex.guard(() => pools.route.release(route));
      route = next;
    }
    words.set(slot, 0);
  }
  words.set(table + Routing.count, 0);
  mutex.guard(() => pools.routing.releaseZeroed(table));
}

/** The first route of a GSI, or 0; 0 too for a GSI that no table can have. Under the VM's mutex. */
export function firstRoute(memory: HostMemory, vm: number, gsi: number): number {
  const table = memory.words.get(vm + Vm.routing);
  return table === 0 || gsi >>> 0 >= Routing.words - Routing.gsi
    ? 0
    : memory.words.get(table + Routing.gsi + gsi);
}

/**
 * What the interrupts of a GSI come to, as a remapping entry: posted to one vCPU, or relayed and why
 * (kvm_arch_update_irqfd_routing, kvm_intr_is_single_vcpu). Under the VM's mutex.
 */
export function resolve(memory: HostMemory, vm: number, gsi: number): number {
  const { words, pools } = memory;
  const route = firstRoute(memory, vm, gsi);
  if (route === 0) return relayed("no-route");
  if (words.get(route + Route.next) !== 0) return relayed("several-routes");
  if (words.get(route + Route.type) !== RouteType.msi) return relayed("not-msi");
  const target = msiOf(memory, route);
  if (target.delivery !== FIXED && target.delivery !== LOWEST_PRIORITY) return relayed("delivery-mode");
  let only = 0;
  for (const vcpu of vcpusOf(memory, vm)) {
    if (!matches(target, words.get(vcpu + Vcpu.index))) continue;
    if (only !== 0) return relayed("multicast");
    only = vcpu;
  }
  return only === 0 ? relayed("no-vcpu") : posted(pools.vcpu.slot(only), target.vector);
}

/**
 * Delivers one interrupt of a GSI by the live table: every route of it, to every vCPU that matches. What cannot be
 * delivered is lost, as in the kernel. Under the VM's mutex.
 */
export function inject(memory: HostMemory, vm: number, gsi: number): void {
  const { words } = memory;
  for (let route = firstRoute(memory, vm, gsi); route !== 0; route = words.get(route + Route.next)) {
    if (words.get(route + Route.type) === RouteType.msi) injectMsi(memory, vm, msiOf(memory, route));
  }
}

function injectMsi(memory: HostMemory, vm: number, target: MsiTarget): void {
  const { words } = memory;
  if (target.delivery !== FIXED && target.delivery !== LOWEST_PRIORITY) return;
  for (const vcpu of vcpusOf(memory, vm)) {
    if (!matches(target, words.get(vcpu + Vcpu.index))) continue;
    post(words, vcpu, target.vector);
    if (target.delivery === LOWEST_PRIORITY) return;
  }
}

function msiOf({ words }: HostMemory, route: number): MsiTarget {
  return decodeMsi(words.get(route + Route.a), words.get(route + Route.b), words.get(route + Route.c));
}

/** The vCPU records of a VM, by APIC id. */
export function* vcpusOf({ words }: HostMemory, vm: number): Generator<number> {
  const count = words.get(vm + Vm.vcpus);
  for (let index = 0; index < count; index++) yield words.get(vm + Vm.vcpu + index);
}
