/**
 * Changes of several triggers in one call: all of them, or none.
 */
import { entryFor, requires } from "../bypass/remapping.js";
import type { EventfdContext } from "../eventfd/context.js";
import { IrqBypassError } from "../host/errors.js";
import { Consumer, Device, Gate, Producer } from "../host/layout.js";
import { reasonOf } from "../posting/irte.js";
import type { Reason } from "../posting/reason.js";
import type { DeviceLife } from "./device-life.js";
import { hold, release } from "./gate.js";
import { type Changed, type Trigger, whyRefused } from "./trigger.js";

/** A change of one trigger, as {@link Trigger.set} takes it. */
export interface TriggerChange {
  /** The interrupt that it belongs to, for messages: "msix 3". */
  readonly name: string;
  readonly trigger: Trigger;
  /** An eventfd, or the record of one, 0 for none. */
  readonly eventfd: number;
  readonly irq: number | Reason;
}

/**
 * Makes the changes as one, under the device's mutex. What is raised meanwhile is pending, and goes where the change, done or
 * refused, leaves the interrupt. Throws what {@link Trigger.set} throws, with every trigger as it was; and what a signal of what was raised
 * meanwhile throws: that one stays pending, and all triggers are set.
 */
export function setTriggers(life: DeviceLife, changes: readonly TriggerChange[]): void {
  if (changes.length === 0) return;
  const leaving = check(life, changes);
  const gates = changes.map(({ trigger }) => trigger.gate);
  for (const gate of gates) hold(life, gate, Gate.changing);
  try {
    for (const one of setAll(changes, leaving)) one.keep();
  } finally {
    // Only now: nothing that is pending goes to a trigger that is taken back.
    release(life, gates, Gate.changing);
  }
}

/**
 * In their order, but that who leaves an eventfd does so before another of the block comes to it: it has one producer at a time. `leaving`
 * says who leaves which.
 */
function setAll(
  changes: readonly TriggerChange[],
  leaving: ReadonlyMap<number, TriggerChange>,
): readonly Changed[] {
  const done: Changed[] = [];
  const isDone = new Map<TriggerChange, boolean>();
  const make = (change: TriggerChange) => {
    if (isDone.has(change)) return;
    isDone.set(change, false);
    const { name, trigger, eventfd, irq } = change;
    const holder = leaving.get(eventfd);
    if (holder !== undefined && holder !== change) {
      // Where they go round, one has to leave its place to the next before its own is free.
      if (isDone.get(holder) === false) done.push(holder.trigger.leave(holder.irq));
      else make(holder);
    }
    try {
      done.push(trigger.set(eventfd, irq));
    } catch (error) {
      throw named(name, error);
    }
    isDone.set(change, true);
  };
  try {
    for (const change of changes) make(change);
  } catch (error) {
    // Backwards: an eventfd that moved within the block is free again before its old trigger wants it.
    for (const one of done.reverse()) one.undo();
    throw error;
  }
  return done;
}

/** What refuses a bypass that is required, as of the interrupt: no caller knows of its producer. */
function named(subject: string, error: unknown): unknown {
  const reason = whyRefused(error);
  if (reason === undefined) return error;
  const { code, side } = error as IrqBypassError;
  const why = `its irqfd requires bypass, and could not have it (${reason})`;
  return new IrqBypassError(code, `${subject} cannot have this eventfd: ${why}`, {
    ...{ subject, reason, cause: error },
    ...(side && { side }),
  });
}

/** The record of an eventfd that is to be set; 0 for none. */
export function recordOf(eventfd: EventfdContext | null): number {
  return eventfd === null ? 0 : eventfd.record;
}

/**
 * Looks for what refuses them, as far as it can be known before the first: no room for so many producers, and an irqfd that
 * requires a bypass that it could not have. What is left is a callback that refuses, or another thread that comes in between. Returns who
 * leaves the eventfd of which it is the producer.
 */
function check({ host, record }: DeviceLife, changes: readonly TriggerChange[]): Map<number, TriggerChange> {
  const { words, manager, mutex, pools } = host;
  const owner = words.load(record + Device.owner);
  const leaving = new Map<number, TriggerChange>();
  mutex.guard(() => {
    const own = new Set<number>();
    for (const change of changes) {
      const { producer } = change.trigger;
      const from = producer === 0 ? 0 : words.get(producer + Producer.eventfd);
      own.add(producer);
      if (from !== 0 && (from !== change.eventfd || typeof change.irq === "string"))
        leaving.set(from, change);
    }
    const wanted = new Set<number>();
    let made = 0;
    for (const { name, trigger, eventfd, irq } of changes) {
      if (eventfd === 0) continue;
      if (trigger.producer === 0) made += 1;
      if (typeof irq === "string") continue;
      const producer = manager.producerAt(eventfd);
      const isFree = (producer === 0 || own.has(producer)) && !wanted.has(eventfd);
      const consumer = manager.consumerAt(eventfd);
      if (consumer !== 0 && requires(host, consumer)) {
        const reason = isFree ? reasonOf(entryFor(words, owner, consumer)) : "another-producer";
        if (reason !== undefined) throw required(host, name, consumer, reason);
      }
      wanted.add(eventfd);
    }
    if (made > 0) pools.producer.checkRoom(made);
  });
  return leaving;
}

function required(
  { words, pools }: DeviceLife["host"],
  subject: string,
  consumer: number,
  reason: Reason,
): IrqBypassError {
  const gsi = words.get(consumer + Consumer.gsi) >>> 0;
  const irqfd = `the irqfd of GSI ${gsi} of VM ${pools.vm.slot(words.get(consumer + Consumer.vm))}`;
  return new IrqBypassError(
    reason === "another-producer" ? "EBUSY" : "EOPNOTSUPP",
    `${subject} cannot have this eventfd: ${irqfd} requires bypass, and could not have it (${reason})`,
    { subject, side: "consumer", reason },
  );
}
