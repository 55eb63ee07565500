/**
 * GSI routing in shared memory: a table per VM, replaced as a whole (virt/kvm/irqchip.c). The live table is read and
 * replaced under the VM's mutex; every irqfd keeps what its GSI comes to in one word, so that a signal reads no table.
 */
import {
  CHIP_PINS,
  Chip,
  Consumer,
  Header,
  IN_USE,
  IOAPIC_PINS,
  MAX_GSI,
  PIC_PINS,
  Route,
  RouteType,
  Routing,
  Vm,
  VmFlag,
} from "../host/layout.js";
import type { HostMemory } from "../host/memory.js";
import { Mode, modeOf, posted, relayed } from "../posting/irte.js";
import type { Reason } from "../posting/reason.js";
import { Delivery, decodeMsi, isLowestPriority, type Message } from "./apic/message.js";
import { isEnabled, isPresent } from "./apic/mode.js";
import { targetsOf } from "./apic/targets.js";
import { deliver, whyDropped } from "./delivery.js";
import { type Outcome, Source, setPin } from "./ioapic.js";
import { isOwnLine } from "./line.js";
import { hasPics, setPicLine } from "./pic-lines.js";
import { defaultRoutes, type MsiWords, type RouteWords } from "./route.js";

/** An MSI that a falling line would be. */
const NOT_SENT: Outcome = { status: -1, dropped: undefined };
const NO_PIC: Outcome = { status: -1, dropped: "no-pic" };

/** A table with the records of its routes, in the order in which they were taken. */
export interface BuiltTable {
  readonly table: number;
  readonly records: readonly number[];
}

/**
 * Builds a table, not yet anybody's: the calling thread's until it stores {@link IN_USE} as the owner. Throws ENOMEM with
 * nothing left behind, also where there is no room for `more` routes beside these.
 */
export function buildTable(memory: HostMemory, routes: readonly RouteWords[], more = 0): BuiltTable {
  const { words, mutex, pools, thread } = memory;
  const table = mutex.guard(() => {
    pools.route.checkRoom(routes.length + more);
    const made = pools.routing.allocate();
    words.store(made + Routing.owner, thread.record);
    return made;
  });
  const records: number[] = [];
  try {
    for (const [index, route] of routes.entries()) {
      const record = mutex.guard(() => takeRoute(memory, table, routes.length - index));
      records.push(record);
      addRoute(memory, table, record, route);
    }
    return { table, records };
  } catch (error) {
    undoTable(memory, { table, records }); // others have taken the room meanwhile
    throw error;
  }
}

/** Takes a table back that nobody has had, as if it had never been built. Holds the host mutex for one record at a time. */
export function undoTable(memory: HostMemory, { table, records }: BuiltTable): void {
  const { mutex, pools, thread } = memory;
  thread.begun = true; // the end of something, which nobody can refuse
  for (let i = records.length - 1; i >= 0; i--) mutex.guard(() => pools.route.undo(records[i]!));
  mutex.guard(() => pools.routing.undo(table));
}

/** A record for one of `needed` routes of a table. Under the host mutex. */
function takeRoute({ words, pools }: HostMemory, table: number, needed: number): number {
  const record = pools.route.allocate(needed);
  words.set(record + Route.table, table);
  return record;
}

/** Writes a route into its record, and that into its table, before the other routes of its GSI. */
function addRoute({ words }: HostMemory, table: number, record: number, route: RouteWords): void {
  const { gsi, type, a, b, c } = route;
  const head = table + Routing.gsi + gsi;
  words.set(record + Route.type, type);
  words.set(record + Route.a, a);
  words.set(record + Route.b, b);
  words.set(record + Route.c, c);
  words.set(record + Route.next, words.get(head));
  words.set(head, record);
  if (type === RouteType.irqchip) words.set(table + Routing.pins + pinIndex(a, b), gsi + 1);
  words.set(table + Routing.count, words.get(table + Routing.count) + 1);
}

/** Gives a table back that nobody can reach any more. Holds the host mutex for one record at a time. */
export function freeTable(memory: HostMemory, table: number): void {
  const { words, mutex, pools } = memory;
  if (table === words.get(Header.defaultRouting)) return; // the host's, not one VM's
  let left = words.get(table + Routing.count);
  for (let slot = table + Routing.gsi; left > 0; slot++) {
    for (let route = words.get(slot); route !== 0; left--) {
      const next = words.get(route + Route.next);
      mutex.guard(() => pools.route.release(route));
      route = next;
    }
    words.set(slot, 0);
  }
  for (let pin = 0; pin < CHIP_PINS; pin++) words.set(table + Routing.pins + pin, 0);
  words.set(table + Routing.count, 0);
  words.set(table + Routing.free, 0);
  mutex.guard(() => {
    words.store(table + Routing.owner, 0);
    pools.routing.releaseZeroed(table);
  });
}

/** Gives back a table that a dead thread was building or freeing: by its routes, since its lists may be half made. */
export function freeLostTable(memory: HostMemory, table: number): void {
  const { words, mutex, pools } = memory;
  memory.forEachLive(pools.route, (route) => {
    if (words.get(route + Route.table) === table) pools.route.release(route);
  });
  mutex.guard(() => pools.routing.release(table));
}

/** The first route of a GSI, or 0; 0 too for a GSI that no table can have. Under the VM's mutex. */
export function firstRoute(memory: HostMemory, vm: number, gsi: number): number {
  const table = memory.words.get(vm + Vm.routing);
  return table === 0 || gsi >>> 0 >= MAX_GSI ? 0 : memory.words.get(table + Routing.gsi + gsi);
}

/** The GSI that leads to a pin of a chip, -1 for none: of several, the last of the table. Under the VM's mutex. */
export function gsiOfPin(memory: HostMemory, vm: number, chip: Chip, pin: number): number {
  const table = memory.words.get(vm + Vm.routing);
  return table === 0 ? -1 : memory.words.get(table + Routing.pins + pinIndex(chip, pin)) - 1;
}

/** The place of a pin in a table: those of the I/O APIC come first. */
export function pinIndex(chip: Chip, pin: number): number {
  return chip === Chip.ioapic ? pin : IOAPIC_PINS + chip * PIC_PINS + pin;
}

/** Only a GSI's single MSI can go past the table; why this one has none. Under the VM's mutex. */
export function whyNotOneMsi(memory: HostMemory, vm: number, gsi: number): Reason | undefined {
  const { words } = memory;
  const route = firstRoute(memory, vm, gsi);
  if (route === 0) return "no-route";
  if (words.get(route + Route.next) !== 0) return "several-routes";
  return words.get(route + Route.type) === RouteType.msi ? undefined : "not-msi";
}

/**
 * What the interrupts of a GSI come to, as a remapping entry: posted to one vCPU, or relayed and why
 * (kvm_arch_update_irqfd_routing, kvm_intr_is_single_vcpu). Under the VM's mutex.
 */
export function resolve(memory: HostMemory, vm: number, gsi: number): number {
  const { words, pools } = memory;
  const reason = whyNotOneMsi(memory, vm, gsi);
  if (reason !== undefined) return relayed(reason);
  const message = msiOf(memory, vm, firstRoute(memory, vm, gsi));
  // What is posted is an edge: nobody would find in TMR that it was level-triggered.
  if (message.level || (message.delivery !== Delivery.fixed && message.delivery !== Delivery.lowestPriority))
    return relayed("delivery-mode");
  // Whose turn it is nobody knows before it comes.
  const takeTurns = (words.get(vm + Vm.flags) & VmFlag.noVectorHashing) !== 0;
  if (takeTurns && isLowestPriority(message)) return relayed("multicast");
  const [only, another] = targetsOf(memory, vm, message, 0).vcpus;
  if (another !== undefined) return relayed("multicast");
  if (only === undefined || !isPresent(words, only) || !isEnabled(words, only)) return relayed("no-vcpu");
  return posted(pools.vcpu.slot(only), message.vector);
}

/** The same for an irqfd: a line of the emulator's has a level to be kept, so nobody posts past it. */
export function resolveFor(memory: HostMemory, vm: number, irqfd: number): number {
  const { words } = memory;
  const target = resolve(memory, vm, words.get(irqfd + Consumer.gsi));
  return isOwnLine(words, irqfd) && modeOf(target) === Mode.posted ? relayed("not-msi") : target;
}

/**
 * Sets one source of a GSI's lines by the live table (kvm_set_irq): pins follow `level`, an MSI is sent when it rises. The status is the sum of
 * those of its routes that did something, -1 where none did; where nothing of it is delivered and no line keeps it, it is dropped, as in
 * the kernel. `asks` is user space that hears of the status. Under the VM's mutex.
 */
export function setGsi(
  memory: HostMemory,
  vm: number,
  gsi: number,
  source: Source,
  level: boolean,
  asks = false,
): Outcome {
  const { words } = memory;
  let status = -1;
  let taken = false;
  let dropped: Reason = "no-route";
  for (let route = firstRoute(memory, vm, gsi); route !== 0; route = words.get(route + Route.next)) {
    const one = setRoute(memory, vm, route, source, level, asks);
    if (one.status >= 0) status = Math.max(status, 0) + one.status;
    if (one.dropped === undefined) taken = true;
    else if (one.dropped !== "no-pic" || dropped === "no-route") dropped = one.dropped; // a pin that is there says more
  }
  return { status, dropped: taken ? undefined : dropped };
}

/** The same for one of the GSI's routes. */
function setRoute(
  memory: HostMemory,
  vm: number,
  route: number,
  source: Source,
  level: boolean,
  asks: boolean,
): Outcome {
  const { words } = memory;
  if (words.get(route + Route.type) === RouteType.msi) {
    if (!level) return NOT_SENT;
    const message = msiOf(memory, vm, route);
    const status = deliver(memory, vm, message);
    return { status, dropped: whyDropped(message, status) };
  }
  const [chip, pin]: [Chip, number] = [words.get(route + Route.a), words.get(route + Route.b)];
  if (chip === Chip.ioapic) return setPin(memory, vm, pin, source, level, asks);
  if (!hasPics(words, vm)) return NO_PIC;
  // Nothing is lost of a masked one: its request stays.
  return { status: setPicLine(memory, vm, { chip, pin }, source, level), dropped: undefined };
}

/**
 * One interrupt of an irqfd: a level-triggered one raises the line, another pulses it. Returns why it is dropped, as
 * {@link setGsi}. Under the VM's mutex.
 */
export function inject(memory: HostMemory, vm: number, gsi: number, level: boolean): Reason | undefined {
  if (level) return setGsi(memory, vm, gsi, Source.resample, true).dropped;
  const { words } = memory;
  words.set(vm + Vm.pulse, gsi + 1);
  const { dropped } = setGsi(memory, vm, gsi, Source.user, true);
  endPulse(memory, vm);
  return dropped;
}

/** Lets go of the line that is being pulsed, if one is. Under the VM's mutex. */
export function endPulse(memory: HostMemory, vm: number): void {
  const { words } = memory;
  const pulse = words.get(vm + Vm.pulse);
  if (pulse === 0) return;
  setGsi(memory, vm, pulse - 1, Source.user, false);
  words.set(vm + Vm.pulse, 0);
}

/**
 * Builds the table that every VM with an I/O APIC starts with: one for the host, in room of its own. By whoever creates the
 * host, before anybody else can see it: threads that make the first VMs at once would each build one.
 */
export function buildDefaultTable(memory: HostMemory): void {
  const { words, mutex, pools } = memory;
  // Under one lock, which nobody else wants yet.
  mutex.guard(() => {
    const table = pools.routing.allocate();
    const routes = defaultRoutes();
    for (const route of routes) addRoute(memory, table, takeRoute(memory, table, routes.length), route);
    words.store(table + Routing.owner, IN_USE);
    words.set(Header.defaultRouting, table);
  });
}

/** Sends a message. Returns what {@link deliver} does. Under the VM's mutex. */
export function sendMsi(memory: HostMemory, vm: number, msi: MsiWords): number {
  return deliver(memory, vm, messageOf(memory, vm, msi));
}

function messageOf({ words }: HostMemory, vm: number, { a, b, c }: MsiWords): Message {
  return decodeMsi(a, b, c, (words.get(vm + Vm.flags) & VmFlag.shortIds) === 0);
}

function msiOf(memory: HostMemory, vm: number, route: number): Message {
  const [a, b, c] = [Route.a, Route.b, Route.c].map((word) => memory.words.get(route + word));
  return messageOf(memory, vm, { a: a!, b: b!, c: c! });
}
