/**
 * Single entries of a VM's routing table: each is added, changed and taken out with the work of one, whatever else the table
 * has. Whoever dies in the middle, an entry is there as it was or as it was to be.
 */
import type { BypassHost } from "../bypass/bypass-host.js";
import { IrqBypassError } from "../host/errors.js";
import { MAX_GSI, Rec, Route, RouteType, Routing, Vm } from "../host/layout.js";
import type { HostMemory } from "../host/memory.js";
import { irqfdsAt } from "./irqfd-list.js";
import { changeInOne, redo } from "./redo.js";
import type { RouteChange } from "./reroute.js";
import type { MsiWords } from "./route.js";
import { firstRoute } from "./routing.js";
import type { VmLife } from "./vm-mutex.js";

/** An MSI of a table, and not the next route in its record. */
export interface RouteEntry {
  readonly gsi: number;
  readonly record: number;
  readonly generation: number;
}

/**
 * Adds an MSI on the lowest GSI that has no route and no irqfd: one that listens there still would get the interrupts of another.
 * So no irqfd hears of this. `note` hears of it before it is in the table, for whoever is to find it should this thread die. Throws ENOSPC
 * where the table has 4,096 entries, as KVM has them at most, and ENOMEM where the host has no room for a route. Under the mutex of the
 * VM, which has a table of its own.
 */
export function addEntry(
  host: BypassHost,
  vm: number,
  message: MsiWords,
  note: (entry: RouteEntry) => void = () => {},
): RouteEntry {
  const { words, mutex, pools } = host;
  const table = words.get(vm + Vm.routing);
  const { gsi, free } = freeGsi(host, vm, table);
  const record = mutex.guard(() => {
    const made = pools.route.allocate();
    words.set(vm + Vm.looseRoute, made); // before the table: without one it is half made, and nobody's
    words.set(made + Route.table, table);
    return made;
  });
  words.set(record + Route.type, RouteType.msi);
  for (const [word, value] of messageAt(record, message)) words.set(word, value);
  const entry = entryAt(host, gsi, record);
  note(entry);
  changeInOne(words, vm, [
    [table + Routing.gsi + gsi, record],
    [table + Routing.count, words.get(table + Routing.count) + 1],
    [table + Routing.free, free],
    [vm + Vm.looseRoute, 0],
  ]);
  return entry;
}

/** The entry that a GSI has. Throws ENOENT where it has none that is an MSI. Under the VM's mutex. */
export function findEntry(host: HostMemory, { record: vm, id }: VmLife, gsi: number): RouteEntry {
  const route = firstRoute(host, vm, gsi);
  if (route !== 0 && host.words.get(route + Route.type) === RouteType.msi) return entryAt(host, gsi, route);
  const has = route === 0 ? "no route" : "a pin of an interrupt controller, and no MSI";
  throw new IrqBypassError("ENOENT", `GSI ${gsi} of VM ${id} has ${has}: make one with routeMsi`);
}

/** The message of an entry, which is there. Under the VM's mutex. */
export function messageOf({ words }: HostMemory, { record }: RouteEntry): MsiWords {
  return { a: words.get(record + Route.a), b: words.get(record + Route.b), c: words.get(record + Route.c) };
}

/** The change of an entry to another message. */
export function entryChange(
  host: BypassHost,
  life: VmLife,
  entry: RouteEntry,
  message: MsiWords,
): RouteChange {
  const vm = life.record;
  let old = message;
  const write = (to: MsiWords) => changeInOne(host.words, vm, messageAt(entry.record, to));
  return {
    irqfds: () => irqfdsAt(host, vm, entry.gsi),
    make() {
      checkEntry(host, life, entry);
      old = messageOf(host, entry);
      write(message);
    },
    takeBack: () => write(old),
  };
}

/**
 * The end of an entry; nothing where it has ended already. It is noted as the VM's loose route, unless whoever repairs knows of it
 * otherwise: a VM has one note.
 */
export function entryEnd(host: BypassHost, life: VmLife, entry: RouteEntry, noted = true): RouteChange {
  const { words } = host;
  const vm = life.record;
  const { gsi, record } = entry;
  let ends = false;
  let free = 0;
  /** Takes it out, or puts it back: the table has one route less then, or one more. */
  const set = (route: number, more: number, lowest: number) => {
    const table = words.get(vm + Vm.routing);
    changeInOne(words, vm, [
      [table + Routing.gsi + gsi, route],
      [table + Routing.count, words.get(table + Routing.count) + more],
      [table + Routing.free, lowest],
      ...(noted ? [[vm + Vm.looseRoute, route === 0 ? record : 0] as const] : []),
    ]);
  };
  return {
    irqfds: () => irqfdsAt(host, vm, gsi),
    make() {
      ends = isEntry(host, vm, entry);
      if (!ends) return;
      free = words.get(words.get(vm + Vm.routing) + Routing.free);
      set(0, -1, Math.min(free, gsi));
    },
    takeBack() {
      if (ends) set(record, 1, free);
    },
    end() {
      if (!ends) return;
      releaseEntry(host, vm, entry);
      if (noted) words.set(vm + Vm.looseRoute, 0); // after it: until then whoever repairs after this thread gives it back
    },
  };
}

/** Gives back the record of an entry that is in the VM's table no more, if that has not been done. Under the VM's mutex. */
export function releaseEntry(host: HostMemory, vm: number, { record, generation }: RouteEntry): void {
  const { words, mutex, pools } = host;
  mutex.guard(() => {
    const isHere = words.get(record + Rec.generation) === generation;
    // A table that was replaced goes with its routes, by whoever replaced it.
    if (isHere && words.get(record + Route.table) === words.get(vm + Vm.routing)) pools.route.release(record);
  });
}

/** Makes whole what a thread has left that died in the middle of such a change. Under the VM's mutex. */
export function healEntries({ words, mutex, pools }: HostMemory, vm: number): void {
  redo(words, vm);
  const loose = words.get(vm + Vm.looseRoute);
  if (loose === 0) return;
  mutex.guard(() => {
    // It may have been given back already, and be a route of another table by now.
    const isHere = pools.route.lives(loose) && words.get(loose + Route.table) === words.get(vm + Vm.routing);
    if (isHere) pools.route.release(loose);
    words.set(vm + Vm.looseRoute, 0);
  });
}

/** Is it in the VM's table? It is not any more where it was released, or the table replaced. Under the VM's mutex. */
export function isEntry(host: HostMemory, vm: number, { gsi, record, generation }: RouteEntry): boolean {
  if (firstRoute(host, vm, gsi) !== record) return false;
  return host.mutex.guard(() => host.words.get(record + Rec.generation)) === generation;
}

/** Throws EBADF where an entry has ended. Under the VM's mutex. */
export function checkEntry(host: HostMemory, { record: vm, id }: VmLife, entry: RouteEntry): void {
  if (isEntry(host, vm, entry)) return;
  throw new IrqBypassError(
    "EBADF",
    `the route of GSI ${entry.gsi} of VM ${id} was released, or replaced with the whole table by setGsiRouting: make another one`,
  );
}

function entryAt({ words, mutex }: HostMemory, gsi: number, record: number): RouteEntry {
  return { gsi, record, generation: mutex.guard(() => words.get(record + Rec.generation)) };
}

function messageAt(record: number, { a, b, c }: MsiWords): readonly (readonly [number, number])[] {
  return [
    [record + Route.a, a],
    [record + Route.b, b],
    [record + Route.c, c],
  ];
}

/** The lowest GSI with neither a route nor an irqfd, and below which none is without a route once that has one. */
function freeGsi(host: HostMemory, vm: number, table: number): { gsi: number; free: number } {
  const { words, pools } = host;
  const name = `VM ${pools.vm.slot(vm)}`;
  if (words.get(table + Routing.count) >= MAX_GSI) {
    throw new IrqBypassError(
      "ENOSPC",
      `${name} has ${MAX_GSI} routes, which is all that a VM can have: release one`,
      {
        subject: name,
      },
    );
  }
  let free = -1;
  for (let gsi = words.get(table + Routing.free); gsi < MAX_GSI; gsi++) {
    if (words.get(table + Routing.gsi + gsi) !== 0) continue;
    if (irqfdsAt(host, vm, gsi).next().done === true) return { gsi, free: free < 0 ? gsi + 1 : free };
    if (free < 0) free = gsi;
  }
  throw new IrqBypassError("ENOSPC", `all ${MAX_GSI} GSIs of ${name} have a route or an irqfd: release one`, {
    subject: name,
  });
}
