/** What the vectors of an MSI-X table are connected to, taken away. For whoever has the table's mutex, with or without the VM open. */
import { pend } from "../../device/gate.js";
import { setTriggers } from "../../device/trigger-changes.js";
import { closeHandle } from "../../eventfd/close.js";
import { holdsCount } from "../../eventfd/listen.js";
import { irqfdOf } from "../../eventfd/reference.js";
import { isOf } from "../../host/argument.js";
import { each } from "../../host/each.js";
import { IrqBypassError } from "../../host/errors.js";
import { Consumer, KvmDue, MsixState, Reference, Vm, VmFlag } from "../../host/layout.js";
import { deassign } from "../assignment.js";
import { irqfdsAt } from "../irqfd-list.js";
import { reroute } from "../reroute.js";
import { type RawMsi, rawMsi } from "../route.js";
import { checkEntry, entryEnd, type RouteEntry, messageOf as routeMessage } from "../route-entry.js";
import type { MsixTable } from "./table.js";

/** A vector loses its trigger, irqfd, eventfd and route, where it has them: the device keeps what it raises from here on. */
export function disconnect(table: MsixTable, number: number): void {
  const { device, index } = table;
  const eventfd = eventfdOf(table, number);
  if (device !== undefined && index !== undefined && eventfd !== 0) {
    const vector = index.vectors[number]!;
    unlessGone(() =>
      device.guard(() => {
        if (vector.trigger.eventfd === eventfd) setTriggers(device, [vector.change(null)]);
      }),
    );
  }
  release(table, number);
}

/** The same for these vectors: of which the system refuses something, that one is gone all the same. */
export function disconnectEach(table: MsixTable, numbers: readonly number[]): void {
  each(numbers, (number) => disconnect(table, number));
}

/** The same for all vectors, and the device gives back its host interrupts. */
export function disconnectAll(table: MsixTable): void {
  const { device, index, state } = table;
  if (device !== undefined && index !== undefined && (state & MsixState.wired) !== 0) {
    // First: this may be refused.
    unlessGone(() =>
      device.guard(() => {
        if (index.enabled) index.disable();
      }),
    );
    table.change(0, MsixState.wired);
  }
  each(table.known, (number) => release(table, number));
}

/**
 * The irqfd that was assigned for a vector, 0 where there is none or it is on its way out: that of its eventfd, for its VM and its route,
 * which `owner` has, the table or the thread that is about to give it that. Its eventfd may have one that somebody else has assigned. Under
 * the host mutex.
 */
export function irqfdOfVector(table: MsixTable, number: number, owner: number): number {
  const { host, vm } = table;
  const { words } = host;
  const eventfd = eventfdOf(table, number);
  const irqfd = eventfd === 0 ? 0 : irqfdOf(host, eventfd);
  if (irqfd === 0) return 0;
  const isIts =
    words.get(irqfd + Consumer.owner) === owner &&
    words.get(irqfd + Consumer.vm) === vm.record &&
    words.get(irqfd + Consumer.gsi) >>> 0 === table.route(number)?.gsi;
  return isIts ? irqfd : 0;
}

/** Has a vector all that it needs: an eventfd that is its trigger, and to which its irqfd listens? */
export function isWired(table: MsixTable, number: number): boolean {
  const { host, record } = table;
  const eventfd = eventfdOf(table, number);
  return (
    eventfd !== 0 &&
    host.mutex.guard(() => irqfdOfVector(table, number, record) !== 0) &&
    triggerOf(table, number) === eventfd
  );
}

/** The eventfd of a vector, 0 without one. */
function eventfdOf(table: MsixTable, number: number): number {
  const reference = table.reference(number);
  return reference === 0 ? 0 : table.host.words.get(reference + Reference.eventfd);
}

/** The eventfd that a vector's trigger is, 0 without one. */
function triggerOf(table: MsixTable, number: number): number {
  const { device, index } = table;
  if (device === undefined || index === undefined) return 0;
  return unlessGone(() => device.guard(() => index.vectors[number]!.trigger.eventfd)) ?? 0;
}

/** Where a vector's route leads; undefined where it has none, or that has gone with its VM, or with the whole table. */
export function routedTo(table: MsixTable, number: number): RawMsi | undefined {
  const { host, vm } = table;
  const route = table.route(number);
  if (route === undefined) return undefined;
  return unlessGone(() =>
    vm.guard(() => {
      checkEntry(host, vm, route);
      return rawMsi(routeMessage(host, route));
    }),
  );
}

/** What a vector has beside its trigger. Each step may have been done before, by a thread that died. */
function release(table: MsixTable, number: number): void {
  const { host, vm, record } = table;
  const { words, mutex, thread } = host;
  const reference = table.reference(number);
  let failure: unknown;
  if (reference !== 0) {
    thread.begun = true; // the end of something, which nobody can refuse
    const eventfd = words.get(reference + Reference.eventfd);
    try {
      deassign(host, vm.mutex, () => irqfdOfVector(table, number, record));
      keep(table, number, eventfd);
    } catch (error) {
      failure = error; // what the system refuses: it is gone all the same
    }
    mutex.guard(() => {
      words.set(reference + Reference.owner, thread.record); // first: from here on it goes with this thread, if not before
      table.setReference(number, 0);
    });
    closeHandle(host, reference);
  }
  const route = table.route(number);
  if (route !== undefined) {
    unlessGone(() => endRoute(table, route));
    table.setRoute(number, undefined);
  }
  if (failure !== undefined) throw failure;
}

/** What waits in its eventfd, to which nobody has listened since, is pending from here on. */
function keep({ host, device, index }: MsixTable, number: number, eventfd: number): void {
  if (device === undefined || index === undefined || !holdsCount(host, eventfd)) return;
  unlessGone(() => device.guard(() => pend(device, index.vectors[number]!.trigger.gate)));
}

/** Takes a route out at which no irqfd of the table listens any more. Throws EBADF where the VM has gone. */
function endRoute({ host, vm }: MsixTable, entry: RouteEntry): void {
  const { words } = host;
  const change = entryEnd(host, vm, entry);
  if ((words.get(vm.record + Vm.flags) & VmFlag.kvm) === 0) {
    reroute(host, vm, change);
    return;
  }
  vm.guard(() => {
    change.make();
    change.end?.();
    // Nothing goes by it: KVM hears of it with the next change of its table.
    const isHeard = irqfdsAt(host, vm.record, entry.gsi).next().done !== true;
    const due = isHeard ? KvmDue.irqfds : KvmDue.table;
    words.set(vm.record + Vm.kvmDue, Math.max(words.get(vm.record + Vm.kvmDue), due));
  });
}

/** What `act` gives; undefined where that which it acts on has ended. */
export function unlessGone<T>(act: () => T): T | undefined {
  try {
    return act();
  } catch (error) {
    if (isOf(error, IrqBypassError) && error.code === "EBADF") return undefined;
    throw error;
  }
}

/** Goes on where the system refuses it: that is nobody's to hear of here. */
export function evenIfRefused(act: () => void): void {
  try {
    act();
  } catch (error) {
    if (!(error instanceof IrqBypassError)) throw error;
  }
}
