import type { BypassHost } from "../bypass/bypass-host.js";
import { show } from "../host/argument.js";
import { IrqBypassError } from "../host/errors.js";
import { MAX_GSI } from "../host/layout.js";
import { Shown } from "../host/shown.js";
import { giveOwnTable, hasOwnTable, reroute } from "./reroute.js";
import { type Apics, checkMsi, type Msi, type MsiWords, type RawMsi, rawMsi } from "./route.js";
import {
  addEntry,
  checkEntry,
  entryChange,
  entryEnd,
  findEntry,
  messageOf,
  type RouteEntry,
} from "./route-entry.js";
import type { VmLife } from "./vm-mutex.js";

/** A VM's routes, for those who change single ones. */
export interface Routes {
  readonly host: BypassHost;
  readonly life: VmLife;
  /** Whom a message of the VM can name. */
  apics(): Apics;
  /** Runs `make`, which adds a route that no irqfd listens at, under the VM's mutex. */
  add<T>(make: () => T): T;
  /** Gives an entry another message, wherever the VM has its routes. When this returns, nothing uses the old one any more. */
  change(entry: RouteEntry, message: MsiWords): void;
  /** Ends an entry in the same way. */
  end(entry: RouteEntry): void;
}

/** Those of a software VM: its table is all that there is. */
export function softwareRoutes(host: BypassHost, life: VmLife, apics: () => Apics): Routes {
  return {
    host,
    life,
    apics,
    add: (make) => life.guard(make),
    change: (entry, message) => reroute(host, life, entryChange(host, life, entry, message)),
    end: (entry) => reroute(host, life, entryEnd(host, life, entry)),
  };
}

/**
 * One MSI of a VM's routing table, from whichever thread: `vm.routeMsi` makes one, `vm.route` finds one. It is the VM's, not this
 * object's: it stays until {@link dispose}, until the whole table is replaced by `setGsiRouting`, which ends each of its routes, or
 * until the VM goes. What is done to it then throws EBADF.
 */
export class RouteRef extends Shown implements Disposable {
  /** The GSI of the route: what `vm.irqfd` takes. It stays the same as long as the route is there. */
  readonly gsi: number;
  private readonly routes: Routes;
  private readonly entry: RouteEntry;

  /** @internal VMs hand them out. */
  constructor(routes: Routes, entry: RouteEntry) {
    super();
    this.gsi = entry.gsi;
    this.routes = routes;
    this.entry = entry;
  }

  /** Where it leads, as a device would write it. Blocks for the VM's mutex. Throws EBADF where it has ended. */
  get msi(): RawMsi {
    const { host, life } = this.routes;
    host.checkCall();
    return life.guard(() => {
      checkEntry(host, life, this.entry);
      return rawMsi(messageOf(host, this.entry));
    });
  }

  /**
   * Leads it elsewhere. Each irqfd of its GSI goes there from this call's return on, connected or not, and by the old message
   * never after that; what was signalled before the call has gone by the old one. The work of one route, however many the VM has.
   * From any thread, and from several at once. Throws EINVAL for a bad message, EBADF where it has ended, and EOPNOTSUPP where a
   * connected irqfd with bypass: "require" could not be bypassed any more; it leads where it did then. Blocks for the VM's mutex, and
   * for signals that are under way.
   */
  change(msi: Msi): void {
    this.routes.host.checkChange();
    this.routes.change(this.entry, checkMsi(msi, this.routes.apics()));
  }

  /**
   * Takes it out of the table, as {@link change} with the same promises: an irqfd that is left has no route. Its GSI is given to
   * another route as soon as no irqfd listens there. Does nothing where it has ended. Throws EOPNOTSUPP, with nothing changed, where
   * a connected irqfd with bypass: "require" is left there: deassign that first.
   */
  dispose(): void {
    this.routes.host.checkChange();
    try {
      this.routes.end(this.entry);
    } catch (error) {
      // The VM has gone, and its routes with it.
      if (!(error instanceof IrqBypassError) || error.code !== "EBADF") throw error;
    }
  }

  /** As {@link dispose}. */
  [Symbol.dispose](): void {
    this.dispose();
  }

  /** @internal */
  protected describe(): object {
    const { gsi, msi } = this;
    return { gsi, msi };
  }
}

/** A new route of a VM; see `Vm.routeMsi`, and `addEntry` for `note`. */
export function makeRoute(routes: Routes, msi: Msi, note?: (entry: RouteEntry) => void): RouteRef {
  const { host, life } = routes;
  host.checkChange();
  const message = checkMsi(msi, routes.apics());
  for (;;) {
    const made = routes.add(() =>
      hasOwnTable(host, life.record) ? addEntry(host, life.record, message, note) : undefined,
    );
    if (made !== undefined) return new RouteRef(routes, made);
    giveOwnTable(host, life);
  }
}

/** The route of a GSI; see `Vm.route`. */
export function openRoute(routes: Routes, gsi: number): RouteRef {
  const { host, life } = routes;
  host.checkCall();
  if (!Number.isInteger(gsi) || gsi < 0 || gsi >= MAX_GSI)
    throw new IrqBypassError("EINVAL", `gsi is ${show(gsi)}, it must be 0 to ${MAX_GSI - 1}`);
  return new RouteRef(
    routes,
    life.guard(() => findEntry(host, life, gsi)),
  );
}
