/** What the vectors of an MSI-X table are connected to, made: by a thread that has the VM open, and brings the eventfds along. */
import type { VfioPciDevice } from "../../device/vfio-pci.js";
import type { EventfdContext } from "../../eventfd/context.js";
import { wakeSleepers } from "../../eventfd/signal.js";
import { IrqBypassError } from "../../host/errors.js";
import { Consumer, MsixState, Reference } from "../../host/layout.js";
import type { Irqfd } from "../irqfd.js";
import type { Msi } from "../route.js";
import { makeRoute, RouteRef, type Routes } from "../route-ref.js";
import type { Brought } from "./bring.js";
import { type Entry, isMasked, leadsTo, messageOf, type Numbered } from "./entry.js";
import { disconnect, evenIfRefused, irqfdOfVector, isWired, routedTo } from "./release.js";
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

/** Connects the vectors of a table. All of it under the table's mutex. */
export class MsixConnector<E extends EventfdContext> {
  constructor(
    private readonly table: MsixTable,
    private readonly vm: MsixVm<E>,
    private readonly device: VfioPciDevice,
  ) {}

  /** Does a vector with this entry, which may signal, need an eventfd? */
  needsEventfd(number: number, entry: Entry): boolean {
    const { table } = this;
    if (isMasked(entry) || !table.isMessage(entry)) return false;
    return routedTo(table, number) === undefined || !isWired(table, number);
  }

  /**
   * These vectors lead where their entries say: by a new route and irqfd the first time, from then on by a change of that route. Throws
   * what refuses one of them, with each connected as before, or to nothing where it was.
   */
  leadAll(entries: readonly Numbered[], brought: Brought<E>): void {
    const undo: (() => void)[] = [];
    try {
      for (const [number, entry] of entries) undo.push(this.lead(number, entry, brought));
    } catch (error) {
      for (const one of undo.reverse()) evenIfRefused(one);
      throw error;
    }
  }

  /** The same for one of them. Returns what takes it back. */
  private lead(number: number, entry: Entry, brought: Brought<E>): () => void {
    const { table } = this;
    if (isMasked(entry) || !table.isMessage(entry)) return () => {};
    const route = table.route(number);
    const now = routedTo(table, number);
    if (route === undefined || now === undefined || !isWired(table, number)) {
      this.connect(number, messageOf(entry), brought);
      return () => disconnect(table, number);
    }
    if (leadsTo(entry, now)) return () => {};
    const ref = new RouteRef(this.vm.routes, route);
    ref.change(messageOf(entry));
    return () => ref.change(now);
  }

  /** Sets the triggers of all vectors at once, for a device that cannot have vectors added later. */
  giveTriggers(brought: Brought<E>): void {
    const { table, device } = this;
    const numbers = Array.from({ length: table.count }, (_, number) => number);
    for (const number of numbers) table.makeRoom(number);
    const eventfds = numbers.map((number) => this.adopt(number, brought));
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

  /** Each step is noted in the table with it or before it: whoever dies here, what there is of it is found. */
  private connect(number: number, msi: Msi, brought: Brought<E>): void {
    const { table, vm, device } = this;
    const given = brought.triggers.get(number);
    if (given === undefined) disconnect(table, number); // somebody took a part of it away, as the route with the whole table
    table.makeRoom(number);
    try {
      const { gsi } = makeRoute(vm.routes, msi, (route) => table.setRoute(number, route));
      const eventfd = given ?? this.adopt(number, brought);
      vm.irqfd(eventfd, gsi);
      this.own(number);
      if (given !== undefined) return;
      table.change(MsixState.wired);
      device.setTrigger("msix", number, eventfd);
    } catch (error) {
      disconnect(table, number);
      throw error;
    }
  }

  /** One of the eventfds that were brought: the handle that it was made with is the vector's from here on. */
  private adopt(number: number, brought: Brought<E>): E {
    const { host, record } = this.table;
    const { words } = host;
    const eventfd = brought.free.pop()!;
    const { reference } = eventfd;
    brought.triggers.set(number, eventfd);
    host.mutex.guard(() => {
      this.table.setReference(number, reference); // first: whoever comes after a death goes on from here
      words.set(reference + Reference.owner, record);
    });
    // Here, where it is certain to be there. Who reads through that handle is this thread, and looks when the call has returned.
    wakeSleepers(words, eventfd.record);
    return eventfd;
  }

  /** So is the irqfd that this thread has assigned to it: it stays when this thread goes. */
  private own(number: number): void {
    const { host, record } = this.table;
    host.mutex.guard(() => {
      const irqfd = irqfdOfVector(this.table, number, host.thread.record);
      if (irqfd !== 0) host.words.set(irqfd + Consumer.owner, record);
    });
  }
}
