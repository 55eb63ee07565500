/**
 * The routes of a real guest: in shared memory as those of a software VM, and once more in KVM, which takes whole tables alone. A
 * change goes into the first, with the work of one route. KVM is given the table when somebody listens whom it concerns, so that
 * routes which are made one after the other before their irqfds come are one table to it. Changes that several threads make at once are
 * one, too: while one of them gives KVM a table the others ask for theirs, and the next to have the VM's mutex carries out all of them.
 */
import type { BypassHost } from "../bypass/bypass-host.js";
import { announceChange } from "../bypass/changes.js";
import { refresh, requires } from "../bypass/remapping.js";
import { IrqBypassError } from "../host/errors.js";
import { Consumer, Injection, KvmDue, Route, Vm as V } from "../host/layout.js";
import { injected, Mode, modeOf, relayed, targetOf } from "../posting/irte.js";
import { ask, askedChanges, forget, isCarriedOut, settleTaken } from "../vm/asked-routes.js";
import { irqfdsOf } from "../vm/irqfd-list.js";
import { type RouteChange, requiredError } from "../vm/reroute.js";
import type { Apics, MsiWords } from "../vm/route.js";
import type { RouteEntry } from "../vm/route-entry.js";
import type { Routes } from "../vm/route-ref.js";
import { firstRoute, whyNotOneMsi } from "../vm/routing.js";
import type { VmLife } from "../vm/vm-mutex.js";
import { encodeTable } from "./table.js";

/** KVM's own table. */
export interface KvmTable {
  /** The VM's descriptor. */
  readonly fd: number;
  /** KVM_SET_GSI_ROUTING; the old table stays where this throws. */
  replace(table: Uint32Array): void;
}

/** The routes of one guest, as any thread changes them. */
export class KvmRouting implements Routes {
  constructor(
    readonly host: BypassHost,
    readonly life: VmLife,
    /** Number of the kind of its irqfds. */
    private readonly kind: number,
    private readonly kvm: KvmTable,
    readonly apics: () => Apics,
  ) {}

  /** As {@link Routes.add}. KVM hears of it when an irqfd comes: until then nothing goes by it. */
  add<T>(make: () => T): T {
    return this.life.guard(() => {
      const made = make();
      if (made !== undefined) this.owe();
      return made;
    });
  }

  /** As {@link Routes.change}. */
  change(entry: RouteEntry, message: MsiWords): void {
    this.together(entry, message);
  }

  /** As {@link Routes.end}. */
  end(entry: RouteEntry): void {
    this.together(entry, undefined);
  }

  /** The change of the whole table, of which KVM hears in any case: it has pins, too, that no irqfd is needed for. */
  replace(change: RouteChange): void {
    // Under the VM's mutex to the end, so that no hang-up gives back a record that this goes on to change. What the grace
    // period in it waits for never takes this mutex: KVM's irqfds have no relay thread.
    if (this.life.guard(() => this.carryOut([change], true))) announceChange(this.host.words);
  }

  /**
   * What an irqfd's interrupts come to that is being assigned: an injection of its GSI's one MSI, or relayed and why. KVM has the
   * newest table then. Under the VM's mutex.
   */
  resolve(irqfd: number): number {
    this.settle();
    const [injection] = this.whyNot(irqfd) === undefined ? this.takeInjections(1) : [];
    return this.targetFor(irqfd, injection);
  }

  /** Gives KVM the newest table where it has not got it, and the irqfds what they come to. Under the VM's mutex. */
  settle(): void {
    const { due } = this;
    if (due === KvmDue.nothing) return;
    const all = due === KvmDue.irqfds ? [...irqfdsOf(this.host, this.life.record)] : [];
    const behind = all.filter((irqfd) => this.isBehind(irqfd));
    this.follow(behind, new Set()); // what stands already nobody refuses
  }

  /** Changes or ends an entry, with those that other threads ask for; or another thread does. Each throws for its own alone. */
  private together(entry: RouteEntry, message: MsiWords | undefined): void {
    const { host, life } = this;
    const asks = () => ask(host, life.record, entry, message);
    let changed: boolean | undefined;
    if (host.thread.mayBlock) {
      asks();
      // With the mutex it is forgotten as well, also where the VM has gone: whoever has the next one in the record may look at it.
      changed = life.guardUnless(
        () => isCarriedOut(host),
        () => this.lead(),
        () => forget(host),
      );
    } else {
      // It may be refused the mutex, and then nobody is to have made its change.
      changed = life.guard(() => {
        asks();
        try {
          return this.lead();
        } finally {
          forget(host);
        }
      });
    }
    if (changed === true) announceChange(host.words);
  }

  /** Carries out what is asked for, the calling thread's own among it. Returns as {@link carryOut}. Under the VM's mutex. */
  private lead(): boolean {
    const { host, life } = this;
    if (isCarriedOut(host)) return false;
    if (settleTaken(host, life.record, () => this.settle())) return true;
    const changes = askedChanges(host, life);
    if (changes.length > 1) {
      try {
        return this.carryOut(changes);
      } catch (error) {
        if (!(error instanceof IrqBypassError)) throw error;
      }
    }
    // One of them is refused: each by itself then, and its own thread hears why.
    return this.carryOut(changes.slice(0, 1));
  }

  /** All or none of them; returns whether the interrupts of any irqfd go elsewhere. Under the VM's mutex. */
  private carryOut(changes: readonly RouteChange[], always = false): boolean {
    const made: RouteChange[] = [];
    let behind: number[];
    try {
      for (const change of changes) {
        change.make();
        made.push(change);
      }
      const concerned = new Set(made.flatMap((change) => [...change.irqfds()]));
      // Those of a thread that died in the middle of a change, too.
      const all = this.due === KvmDue.irqfds ? irqfdsOf(this.host, this.life.record) : concerned;
      behind = [...all].filter((irqfd) => this.isBehind(irqfd));
      // Where none is behind, nothing that KVM's table says of them has changed.
      if (always || behind.length > 0) this.follow(behind, concerned);
      else this.owe();
    } catch (error) {
      for (const change of made.reverse()) change.takeBack();
      throw error;
    }
    for (const change of made) change.end?.();
    return behind.length > 0;
  }

  /** KVM's table, and what these irqfds come to, follow the one in memory; those that are `concerned` may refuse. Throws with both as they were. */
  private follow(irqfds: readonly number[], concerned: ReadonlySet<number>): void {
    const { host, life } = this;
    const before = this.due;
    // All injections that the new routes take, before anything has changed: what is missing to those that the old ones give back.
    const taken = irqfds.filter((irqfd) => this.whyNot(irqfd) === undefined).length;
    const extra = this.takeInjections(taken - irqfds.filter((irqfd) => this.isInjected(irqfd)).length);
    const parked: Parked[] = [];
    try {
      this.park(irqfds, concerned, parked);
      if (parked.length > 0) host.thread.quiesce(); // nobody injects by an old route any more
      this.kvm.replace(encodeTable(host.words, host.words.get(life.record + V.routing)));
    } catch (error) {
      for (const { irqfd, target } of parked) this.retarget(irqfd, target);
      host.mutex.guard(() => {
        for (const injection of extra.reverse()) host.pools.injection.undo(injection);
      });
      this.due = before;
      throw error;
    }
    const free = [...extra];
    for (const { target } of parked)
      if (modeOf(target) === Mode.injected) free.push(this.injectionOf(target));
    for (const { irqfd } of parked) {
      const injection = this.whyNot(irqfd) === undefined ? free.pop() : undefined;
      this.retarget(irqfd, this.targetFor(irqfd, injection));
    }
    this.due = KvmDue.nothing;
    host.mutex.guard(() => {
      for (const injection of free) host.pools.injection.release(injection);
    });
  }

  /**
   * Sends irqfds through the eventfd while the two tables change: KVM itself takes either route, and never half of one. Adds
   * to `parked` what they came to before. Throws EOPNOTSUPP where one that is concerned is connected and requires bypass.
   */
  private park(irqfds: readonly number[], concerned: ReadonlySet<number>, parked: Parked[]): void {
    const { host, life } = this;
    this.due = KvmDue.irqfds; // first: should this thread die, the next change goes on for it
    for (const irqfd of irqfds) {
      const reason = concerned.has(irqfd) && requires(host, irqfd) ? this.whyNot(irqfd) : undefined;
      const target = this.retarget(irqfd, relayed(reason ?? "no-route"), reason === undefined);
      if (target === undefined)
        throw requiredError(host, life.record, this.gsiOf(irqfd), reason ?? "no-route");
      parked.push({ irqfd, target });
    }
  }

  /** Does an irqfd's target say something else than its routes do? */
  private isBehind(irqfd: number): boolean {
    const { words } = this.host;
    const target = words.load(irqfd + Consumer.target);
    const reason = this.whyNot(irqfd);
    if (reason !== undefined) return target !== relayed(reason);
    if (modeOf(target) !== Mode.injected) return true;
    const [injection, route] = [this.injectionOf(target), this.routeOf(irqfd)];
    return (
      words.get(injection + Injection.addressLow) !== words.get(route + Route.a) ||
      words.get(injection + Injection.addressHigh) !== words.get(route + Route.b) ||
      words.get(injection + Injection.data) !== words.get(route + Route.c)
    );
  }

  /** What an irqfd comes to; where that is an injection, `injection` is the record for it. */
  private targetFor(irqfd: number, injection: number | undefined): number {
    const { host } = this;
    const { words, mutex, pools } = host;
    if (injection === undefined) return relayed(this.whyNot(irqfd) ?? "no-route");
    const route = this.routeOf(irqfd);
    return mutex.guard(() => {
      words.set(injection + Injection.fd, this.kvm.fd);
      words.set(injection + Injection.addressLow, words.get(route + Route.a));
      words.set(injection + Injection.addressHigh, words.get(route + Route.b));
      words.set(injection + Injection.data, words.get(route + Route.c));
      words.set(injection + Injection.kind, this.kind);
      words.set(injection + Injection.owner, host.thread.record);
      return injected(pools.injection.slot(injection));
    });
  }

  /** Injection records for the calling thread. Throws ENOMEM where there are not so many. */
  private takeInjections(count: number): number[] {
    const { mutex, pools, words, thread } = this.host;
    if (count <= 0) return [];
    return mutex.guard(() => {
      pools.injection.checkRoom(count);
      return Array.from({ length: count }, () => {
        const injection = pools.injection.allocate();
        words.set(injection + Injection.owner, thread.record);
        return injection;
      });
    });
  }

  /**
   * Gives an irqfd another target and returns the old one, which signals under way may still use. Unless `connected` allows it,
   * changes nothing where a producer is connected, and returns undefined.
   */
  private retarget(irqfd: number, target: number): number;
  private retarget(irqfd: number, target: number, connected: boolean): number | undefined;
  private retarget(irqfd: number, target: number, connected = true): number | undefined {
    const { host } = this;
    const { words, mutex } = host;
    let old: number | undefined;
    mutex.guard(() => {
      if (!connected && words.get(irqfd + Consumer.producer) !== 0) return;
      const before = words.load(irqfd + Consumer.target);
      // First: should this thread die with it in hand, it is given back with what else the thread had.
      if (modeOf(before) === Mode.injected)
        words.set(this.injectionOf(before) + Injection.owner, host.thread.record);
      old = words.exchange(irqfd + Consumer.target, target);
      refresh(host, irqfd);
    });
    return old;
  }

  /** The table in memory is newer than KVM's. */
  private owe(): void {
    this.due = Math.max(this.due, KvmDue.table);
  }

  private get due(): KvmDue {
    return this.host.words.get(this.life.record + V.kvmDue);
  }

  private set due(due: KvmDue) {
    this.host.words.set(this.life.record + V.kvmDue, due);
  }

  private isInjected(irqfd: number): boolean {
    return modeOf(this.host.words.load(irqfd + Consumer.target)) === Mode.injected;
  }

  private injectionOf(target: number): number {
    return this.host.pools.injection.at(targetOf(target));
  }

  private whyNot(irqfd: number) {
    return whyNotOneMsi(this.host, this.life.record, this.gsiOf(irqfd));
  }

  private routeOf(irqfd: number): number {
    return firstRoute(this.host, this.life.record, this.gsiOf(irqfd));
  }

  private gsiOf(irqfd: number): number {
    return this.host.words.get(irqfd + Consumer.gsi) >>> 0;
  }
}

/** An irqfd with what it came to before it was parked. */
interface Parked {
  readonly irqfd: number;
  readonly target: number;
}
