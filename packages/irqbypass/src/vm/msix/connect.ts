/** What the vectors of an MSI-X table are connected to, made: by a thread that has the VM open, and brings the eventfds along. */
import type { VfioPciDevice } from "../../device/vfio-pci.js";
import type { EventfdContext } from "../../eventfd/context.js";
import { irqfdOf } from "../../eventfd/reference.js";
import { IrqBypassError } from "../../host/errors.js";
import { Consumer, MsixState, Reference } from "../../host/layout.js";
import type { Irqfd } from "../irqfd.js";
import type { Msi } from "../route.js";
import { makeRoute, RouteRef, type Routes } from "../route-ref.js";
import { type Entry, isMasked, isMessage, leadsTo, messageOf } from "./entry.js";
import { disconnect, routedTo } from "./release.js";
import type { MsixTable } from "./table.js";

/** What MSI-X needs of a VM: `Vm` and `KvmVm` have it, and what `open` of either gives in another thread. */
export interface MsixVm<E extends EventfdContext> {
  /** A new route for a message. */
  routeMsi(msi: Msi): RouteRef;
  /** Makes each signal of an eventfd an interrupt of a GSI. */
  irqfd(eventfd: E, gsi: number): Irqfd;
  /** @internal */
  readonly routes: Routes;
}

/** Eventfds that a call has made before it took the table's mutex. */
export interface Brought<E> {
  /** For vectors that are connected from here on. */
  readonly free: E[];
  /** Those that are triggers already, by vector. */
  readonly triggers: Map<number, E>;
}

/** Connects the vectors of a table. All of it under the table's mutex. */
export class MsixConnector<E extends EventfdContext> {
  constructor(
    private readonly table: MsixTable,
    private readonly vm: MsixVm<E>,
    private readonly device: VfioPciDevice,
  ) {}

  /** Does a vector with this entry, which may signal, need an eventfd? */
  needsEventfd(number: number, entry: Entry): boolean {
    return !isMasked(entry) && isMessage(entry) && !this.isConnected(number);
  }

  /**
   * A vector leads where this entry says: by a new route and irqfd the first time, from then on by a change of that route. Returns whether
   * it has been connected. Throws what refuses it, with the vector connected as before, or to nothing.
   */
  lead(number: number, entry: Entry, brought: Brought<E>): boolean {
    if (isMasked(entry) || !isMessage(entry)) return false;
    const { table } = this;
    const route = table.route(number);
    const now = table.reference(number) === 0 ? undefined : routedTo(table, number);
    if (route === undefined || now === undefined) {
      this.connect(number, messageOf(entry), brought);
      return true;
    }
    if (!leadsTo(entry, now)) new RouteRef(this.vm.routes, route).change(messageOf(entry));
    return false;
  }

  /** Sets the triggers of all vectors at once, for a device that cannot have vectors added later. */
  giveTriggers(brought: Brought<E>): void {
    const { table, device } = this;
    const numbers = Array.from({ length: table.count }, (_, number) => number);
    const eventfds = brought.free.splice(0, table.count);
    for (const number of numbers) {
      table.makeRoom(number);
      brought.triggers.set(number, eventfds[number]!);
      this.adopt(number, eventfds[number]!);
    }
    table.change(MsixState.wired);
    const had = device.setIrqs({
      index: "msix",
      start: 0,
      count: table.count,
      action: "trigger",
      data: "eventfd",
      eventfds,
    });
    if (had > 0)
      throw new IrqBypassError(
        "ENOSPC",
        `this device has ${table.count} vectors, and the host ${had} interrupts for it`,
      );
  }

  private isConnected(number: number): boolean {
    return this.table.reference(number) !== 0 && routedTo(this.table, number) !== undefined;
  }

  /** Each step is noted in the table with it or before it: whoever dies here, what there is of it is found. */
  private connect(number: number, msi: Msi, brought: Brought<E>): void {
    const { table, vm, device } = this;
    const given = brought.triggers.get(number);
    if (given === undefined) disconnect(table, number); // the whole table was replaced meanwhile
    table.makeRoom(number);
    try {
      const { gsi } = makeRoute(vm.routes, msi, (route) => table.setRoute(number, route));
      const eventfd = given ?? brought.free.pop()!;
      if (given === undefined) {
        brought.triggers.set(number, eventfd);
        this.adopt(number, eventfd);
      }
      vm.irqfd(eventfd, gsi);
      this.own(eventfd);
      if (given !== undefined) return;
      table.change(MsixState.wired);
      device.setTrigger("msix", number, eventfd);
    } catch (error) {
      disconnect(table, number);
      throw error;
    }
  }

  /** The handle that an eventfd was made with is the vector's from here on. */
  private adopt(number: number, { reference }: E): void {
    const { host, record } = this.table;
    host.mutex.guard(() => {
      this.table.setReference(number, reference); // first: whoever comes after a death goes on from here
      host.words.set(reference + Reference.owner, record);
    });
  }

  /** So is the irqfd that listens to it: it stays when this thread goes. */
  private own(eventfd: E): void {
    const { host, record } = this.table;
    host.mutex.guard(() => {
      const irqfd = irqfdOf(host, eventfd.record);
      if (irqfd !== 0) host.words.set(irqfd + Consumer.owner, record);
    });
  }
}
