/**
 * A guest's GSI routes as this library keeps them beside KVM, which tells nobody what it has.
 */
import { RouteType } from "../host/layout.js";
import type { Reason } from "../posting/reason.js";
import type { RouteWords } from "../vm/route.js";
import type { KvmRoute } from "./structs.js";

/** The routes of a guest by their GSI. */
export type RoutesByGsi = ReadonlyMap<number, readonly RouteWords[]>;

/** A table by its GSIs. */
export function byGsi(routes: readonly RouteWords[]): RoutesByGsi {
  const table = new Map<number, RouteWords[]>();
  for (const route of routes) {
    const others = table.get(route.gsi);
    if (others === undefined) table.set(route.gsi, [route]);
    else others.push(route);
  }
  return table;
}

/** Only a GSI's single MSI can be injected. */
export function whyNotInjected(routes: readonly RouteWords[] = []): Reason | undefined {
  if (routes.length === 0) return "no-route";
  if (routes.length > 1) return "several-routes";
  return routes[0]!.type === RouteType.msi ? undefined : "not-msi";
}

/** A route as KVM takes it. */
export function kvmRoute({ gsi, type, a, b, c }: RouteWords): KvmRoute {
  if (type === RouteType.irqchip) return { gsi, chip: a, pin: b };
  return { gsi, msi: { addressLow: a >>> 0, addressHigh: b >>> 0, data: c >>> 0 } };
}

/** Are these the same routes of a GSI? */
export function same(one: readonly RouteWords[] = [], other: readonly RouteWords[] = []): boolean {
  return (
    one.length === other.length &&
    one.every(
      (route, i) =>
        route.type === other[i]!.type &&
        route.a === other[i]!.a &&
        route.b === other[i]!.b &&
        route.c === other[i]!.c,
    )
  );
}
