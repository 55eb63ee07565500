/**
 * Replacing a VM's routes while its interrupts are live: what each irqfd comes to changes in place, only where it did
 * change, and nothing uses an old route when the call has returned (kvm_set_irq_routing, kvm_irq_routing_update).
 */
import type { BypassHost } from "../bypass/bypass-host.js";
import { announceChange } from "../bypass/changes.js";
import { refresh, requires } from "../bypass/remapping.js";
import { listenOf } from "../eventfd/listen.js";
import { IrqBypassError } from "../host/errors.js";
import { Consumer, Header, IN_USE, Rec, Routing, Vm } from "../host/layout.js";
import type { Words } from "../host/words.js";
import { reasonOf } from "../posting/irte.js";
import { irqfdsOf } from "./irqfd-list.js";
import { deliverDue } from "./relay.js";
import { defaultRoutes, type RouteWords } from "./route.js";
import { buildTable, freeTable, resolveFor, undoTable, whyNotOneMsi } from "./routing.js";
import type { VmLife } from "./vm-mutex.js";

/** A change of a VM's routes. All of it under the VM's mutex. */
export interface RouteChange {
  /** The irqfds that it may concern. */
  irqfds(): Iterable<number>;
  /** Makes it in the table; what it throws refuses it. */
  make(): void;
  /** Takes it back where one of the irqfds refuses it. */
  takeBack(): void;
  /** It stands, and every irqfd follows it. */
  end?(): void;
}

/**
 * Changes the routes of a software VM. When this returns, nothing uses an old one any more. Throws EBADF where the VM has gone, and
 * EOPNOTSUPP where a connected irqfd requires a bypass that it could not have; the old routes stay then.
 */
export function reroute(host: BypassHost, life: VmLife, change: RouteChange): void {
  const vm = life.record;
  deliverBefore(host, life, change);
  let changed = false;
  life.guard(() => {
    change.make();
    const irqfds = [...change.irqfds()];
    try {
      changed = retargetRequired(host, vm, irqfds);
    } catch (error) {
      change.takeBack();
      throw error;
    }
    for (const irqfd of irqfds) if (retarget(host, vm, irqfd)) changed = true;
    change.end?.();
  });
  if (!changed) return;
  host.thread.quiesce(); // not under the mutex: what is under way may need it to finish
  announceChange(host.words);
}

/**
 * Replaces the whole table, by {@link reroute} or what a VM has in its place; see {@link Vm.setGsiRouting} for what it throws, and EBADF
 * where the VM has gone. The old table stays then.
 */
export function replaceRoutes(
  host: BypassHost,
  life: VmLife,
  routes: readonly RouteWords[],
  carryOut: (change: RouteChange) => void,
): void {
  const vm = life.record;
  const built = buildTable(host, routes);
  const { table } = built;
  let old = 0;
  host.thread.begun = false; // the table can be undone: this thread may still be refused the mutex
  try {
    carryOut({
      irqfds: () => irqfdsOf(host, vm),
      make() {
        old = host.words.get(vm + Vm.routing);
        install(host, vm, table, old);
      },
      takeBack: () => install(host, vm, old, table),
    });
  } catch (error) {
    undoTable(host, built);
    throw error;
  }
  if (old !== 0) freeTable(host, old);
}

/** Has the VM a table of its own, that others do not go by? Under its mutex. */
export function hasOwnTable({ words }: BypassHost, vm: number): boolean {
  return !isHosts(words, words.get(vm + Vm.routing));
}

/**
 * Gives a VM that has none a table of its own, which says the same, so that no irqfd hears of it. Throws ENOMEM where there is no room
 * for it and one route more.
 */
export function giveOwnTable(host: BypassHost, life: VmLife): void {
  const { words } = host;
  const vm = life.record;
  const isEmpty = life.guard(() => words.get(vm + Vm.routing) === 0);
  const built = buildTable(host, isEmpty ? [] : defaultRoutes(), 1);
  host.thread.begun = false; // as above
  let given = false;
  try {
    given = life.guard(() => {
      if (hasOwnTable(host, vm)) return false; // another thread was first
      install(host, vm, built.table, words.get(vm + Vm.routing));
      return true;
    });
  } finally {
    if (!given) undoTable(host, built);
  }
}

/**
 * What was signalled before this call goes by the old route, where that was an MSI: in the kernel the write itself has delivered
 * it (kvm_arch_set_irq_inatomic), and here it may wait for a relay still. Any other goes by the live table, there from a work
 * item, here by the relay. Not under a mutex.
 */
export function deliverBefore(host: BypassHost, life: VmLife, change: Pick<RouteChange, "irqfds">): void {
  const { words } = host;
  deliverWaiting(host, life, () =>
    [...change.irqfds()].filter(
      (irqfd) => whyNotOneMsi(host, life.record, words.get(irqfd + Consumer.gsi)) === undefined,
    ),
  );
}

/** Delivers what is signalled already of irqfds of a VM, which `find` names under its mutex. Not under a mutex. */
export function deliverWaiting(host: BypassHost, life: VmLife, find: () => Iterable<number>): void {
  const { words } = host;
  const waiting = life.guard(() =>
    [...find()].flatMap((irqfd) => {
      const { flush } = listenOf(host, irqfd, words.get(irqfd + Consumer.holds));
      if (flush === undefined && words.load(irqfd + Consumer.pending) === 0) return [];
      return [{ irqfd, generation: words.get(irqfd + Rec.generation), flush }];
    }),
  );
  for (const { irqfd, generation, flush } of waiting) {
    flush?.(host, irqfd, generation);
    deliverDue(host, irqfd);
  }
}

/**
 * Puts a table in the place of another. The old one is the calling thread's before that and the new one until after it:
 * whichever of the two a thread leaves behind that dies here, it is the VM's or it is named as its own.
 */
function install({ words, thread }: BypassHost, vm: number, table: number, old: number): void {
  if (!isHosts(words, old)) words.store(old + Routing.owner, thread.record);
  words.set(vm + Vm.routing, table);
  if (!isHosts(words, table)) words.store(table + Routing.owner, IN_USE);
}

/** Is it none, or the one that VMs start with? */
function isHosts(words: Words, table: number): boolean {
  return table === 0 || table === words.get(Header.defaultRouting);
}

/** Takes a VM's table away and returns it, to be freed; 0 where it has none. Under the VM's mutex. */
export function removeTable(host: BypassHost, vm: number): number {
  const old = host.words.get(vm + Vm.routing);
  install(host, vm, 0, old);
  return old;
}

/** Goes on with a change of routes whose thread has died, wherever it had got to. Under the VM's mutex. */
export function completeReroute(host: BypassHost, vm: number): void {
  for (const irqfd of irqfdsOf(host, vm)) {
    const target = resolveFor(host, vm, irqfd);
    host.mutex.guard(() => setTarget(host, irqfd, target)); // its producer may have to hear of it still
  }
}

/** The refusal of a route under which a connected irqfd could not have the bypass that it requires. */
export function requiredError(host: BypassHost, vm: number, gsi: number, reason: string): IrqBypassError {
  const name = `GSI ${gsi} of VM ${host.pools.vm.slot(vm)}`;
  return new IrqBypassError(
    "EOPNOTSUPP",
    `${name} requires bypass, and with this route it could not be (${reason}): the old routes stay`,
    { subject: name, reason },
  );
}

/**
 * First the irqfds that require bypass and could not have it with the new table. A connected one refuses the table, and
 * those before it get their targets back; one that waits for its producer gets the new target, so that a producer that
 * arrives from here on is refused. Returns whether it changed any. Under the VM's mutex.
 */
function retargetRequired(host: BypassHost, vm: number, irqfds: readonly number[]): boolean {
  const { words } = host;
  const changed: { irqfd: number; old: number }[] = [];
  for (const irqfd of irqfds) {
    if (!requires(host, irqfd)) continue;
    const gsi = words.get(irqfd + Consumer.gsi);
    const target = resolveFor(host, vm, irqfd);
    const reason = reasonOf(target);
    // What a guest's own registers keep from being posted, it is relayed already: a table that changes nothing of that is none's to refuse.
    if (reason === undefined || words.load(irqfd + Consumer.target) === target) continue;
    const connected = host.mutex.guard(() => {
      if (words.get(irqfd + Consumer.producer) !== 0) return true;
      changed.push({ irqfd, old: words.exchange(irqfd + Consumer.target, target) });
      return false;
    });
    if (!connected) continue;
    for (const { irqfd: one, old } of changed) words.store(one + Consumer.target, old);
    throw requiredError(host, vm, gsi, reason);
  }
  return changed.length > 0;
}

/**
 * Gives every irqfd of a VM what its GSI comes to now, also one that requires bypass and cannot have it; returns whether any changed.
 * Under the VM's mutex. Whoever calls this waits afterwards, without it, until nobody uses an old target any more.
 */
export function retargetAll(host: BypassHost, vm: number): boolean {
  let changed = false;
  for (const irqfd of irqfdsOf(host, vm)) if (retarget(host, vm, irqfd)) changed = true;
  return changed;
}

/** The same for one of them. */
function retarget(host: BypassHost, vm: number, irqfd: number): boolean {
  const { words } = host;
  const target = resolveFor(host, vm, irqfd);
  if (words.load(irqfd + Consumer.target) === target) return false;
  host.mutex.guard(() => setTarget(host, irqfd, target));
  return true;
}

function setTarget(host: BypassHost, irqfd: number, target: number): void {
  host.words.store(irqfd + Consumer.target, target);
  refresh(host, irqfd);
}
