import {
  CHIP_PINS,
  Chip,
  Header,
  IN_USE,
  IOAPIC_PINS,
  MAX_GSI,
  PIC_PINS,
  Route,
  RouteType,
  Routing,
  Vm,
} from "../../host/layout.js";
import { pinIndex } from "../routing.js";
import { hasLongIds } from "../vcpus.js";
import type { View } from "./view.js";

const MSI_HIGH_LOW_BYTE = 0xff;

/** The routing tables: each belongs to one VM, or is the one that VMs start with; each route is in one place. */
export function auditRoutes(view: View): void {
  const { words } = view;
  const initial = words.get(Header.defaultRouting);
  if (view.names("routing", initial, "the header", "default routing table")) {
    view.own("routing", initial, "the host");
    auditUse(view, initial);
  }
  for (const vm of view.live.vm) {
    const table = words.get(vm + Vm.routing);
    if (table === 0 || table === initial) continue;
    if (view.names("routing", table, view.name("vm", vm), "routing table")) {
      view.own("routing", table, view.name("vm", vm));
      auditUse(view, table);
    }
  }
  const long = new Set(
    view.live.vm.filter((vm) => hasLongIds(words, vm)).map((vm) => words.get(vm + Vm.routing)),
  );
  for (const table of view.live.routing) auditTable(view, table, long.has(table));
  view.findUnowned("routing", "is that of no VM");
  view.findUnowned("route", "is in no routing table");
}

function auditUse(view: View, table: number): void {
  const owner = view.words.load(table + Routing.owner);
  if (owner !== IN_USE)
    view.find(
      "unfinished",
      view.name("routing", table),
      `is in use, and ${view.name("thread", owner)} builds or frees it`,
    );
}

function auditTable(view: View, table: number, longIds: boolean): void {
  const { words } = view;
  const subject = view.name("routing", table);
  const pins = new Map<number, Set<number>>();
  let count = 0;
  let free = MAX_GSI;
  for (let gsi = 0; gsi < MAX_GSI; gsi++) {
    const first = words.get(table + Routing.gsi + gsi);
    if (first === 0) free = Math.min(free, gsi);
    for (let route = first; route !== 0; route = words.get(route + Route.next)) {
      if (!view.names("route", route, subject, `route of GSI ${gsi}`)) break;
      if (!view.own("route", route, `${subject} at GSI ${gsi}`)) break; // in a circle too
      count += 1;
      if (words.get(route + Route.table) !== table)
        view.find("partner", view.name("route", route), `is in ${subject}, and names another`);
      auditRoute(view, route, gsi, route === first && words.get(route + Route.next) === 0, longIds);
      if (words.get(route + Route.type) !== RouteType.irqchip) continue;
      const pin = pinIndex(words.get(route + Route.a), words.get(route + Route.b));
      pins.set(pin, (pins.get(pin) ?? new Set()).add(gsi));
    }
  }
  view.within(words.get(table + Routing.free), 0, free, subject, "lowest GSI without a route");
  if (words.get(table + Routing.count) !== count) {
    view.find("count", subject, `counts ${words.get(table + Routing.count)} routes, and has ${count}`);
  }
  for (let pin = 0; pin < CHIP_PINS; pin++) {
    const gsi = words.get(table + Routing.pins + pin) - 1;
    const leading = pins.get(pin);
    if (leading === undefined ? gsi === -1 : leading.has(gsi)) continue;
    view.find(
      "list",
      subject,
      `says that GSI ${gsi} leads to pin ${pin}, and ${leading === undefined ? "none" : [...leading]} does`,
    );
  }
}

function auditRoute(view: View, route: number, gsi: number, alone: boolean, longIds: boolean): void {
  const { words } = view;
  const subject = view.name("route", route);
  const type = words.get(route + Route.type);
  if (!view.within(type, RouteType.irqchip, RouteType.msi, subject, "type")) return;
  if (type === RouteType.msi) {
    if (!alone) view.find("list", subject, `is an MSI, and GSI ${gsi} has another route`);
    if (longIds && words.get(route + Route.b) & MSI_HIGH_LOW_BYTE) {
      view.find("value", subject, "its high address has bits in the low byte");
    }
    return;
  }
  const chip = words.get(route + Route.a);
  if (!view.within(chip, Chip.picMaster, Chip.ioapic, subject, "chip")) return;
  const pins = chip === Chip.ioapic ? IOAPIC_PINS : PIC_PINS;
  view.within(words.get(route + Route.b), 0, pins - 1, subject, "pin");
  if (words.get(route + Route.c) !== 0)
    view.find("value", subject, "leads to a pin, and has the data of an MSI");
}
