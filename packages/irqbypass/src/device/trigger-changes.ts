/**
 * Changes of several triggers in one call: all of them, or none.
 */
import type { BypassHost } from "../bypass/bypass-host.js";
import { entryFor, requires } from "../bypass/remapping.js";
import type { EventfdContext } from "../eventfd/context.js";
import { IrqBypassError } from "../host/errors.js";
import { Consumer } from "../host/layout.js";
import { reasonOf } from "../posting/irte.js";
import type { Reason } from "../posting/reason.js";
import type { Trigger, TriggerState } from "./trigger.js";

/** A change of one trigger, as {@link Trigger.set} takes it. */
export interface TriggerChange {
  /** The interrupt that it belongs to, for messages: "msix 3". */
  readonly name: string;
  readonly trigger: Trigger;
  readonly eventfd: EventfdContext | null;
  readonly irq: number | Reason;
}

/** Makes the changes in their order. Throws what {@link Trigger.set} throws, with every trigger as it was. */
export function setTriggers(host: BypassHost, changes: readonly TriggerChange[]): void {
  if (changes.length === 0) return;
  check(host, changes);
  const done: { readonly change: TriggerChange; readonly before: TriggerState }[] = [];
  try {
    for (const change of changes) {
      const before = change.trigger.state;
      change.trigger.set(change.eventfd, change.irq);
      done.push({ change, before });
    }
  } catch (error) {
    // Backwards: an eventfd that moved within the block is free again before its old trigger wants it.
    for (const { change, before } of done.reverse()) change.trigger.restore(before, change.irq);
    throw error;
  }
}

/**
 * Looks for what refuses them, as far as it can be known before the first: no room for so many producers, and an irqfd that
 * requires a bypass that it could not have. What is left is a callback that refuses, or another thread that comes in between.
 */
function check(host: BypassHost, changes: readonly TriggerChange[]): void {
  const { words, manager, mutex, pools, thread } = host;
  mutex.guard(() => {
    const own = new Set(changes.map(({ trigger }) => trigger.producerRecord));
    const wanted = new Set<number>();
    let others = 0;
    for (const { name, trigger, eventfd, irq } of changes) {
      if (eventfd === null || eventfd.closed || typeof irq === "string") continue;
      const { record } = eventfd;
      const producer = manager.producerAt(record);
      const isFree = (producer === 0 || own.has(producer)) && !wanted.has(record);
      const consumer = manager.consumerAt(record);
      if (consumer !== 0 && requires(host, consumer)) {
        const reason = isFree ? reasonOf(entryFor(words, thread.record, consumer)) : "another-producer";
        if (reason !== undefined) throw required(host, name, consumer, reason);
      }
      if (!isFree)
        others = 1; // a producer is taken for the moment in which that is found
      else if (trigger.producerRecord === 0) wanted.add(record);
    }
    if (wanted.size + others > 0) pools.producer.checkRoom(wanted.size + others);
  });
}

function required(
  { words, pools }: BypassHost,
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
