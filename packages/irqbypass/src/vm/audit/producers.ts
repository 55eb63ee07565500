import { entryFor, irqfdOps } from "../../bypass/remapping.js";
import { Consumer, Producer } from "../../host/layout.js";
import { Mode, modeOf, targetOf, vectorOf } from "../../posting/irte.js";
import { REASONS } from "../../posting/reason.js";
import type { View } from "./view.js";

/** The producers: registered means an eventfd, an entry in the index, and the irqfd of that eventfd as the partner. */
export function auditProducers(view: View): void {
  const { words, host } = view;
  const slot = (eventfd: number) => view.slotOf("eventfd", eventfd) ?? -1;
  for (const producer of view.live.producer) {
    const subject = view.name("producer", producer);
    view.within(words.get(producer + Producer.kind), 0, host.kinds.length - 1, subject, "kind");
    const held = words.load(producer + Producer.holds);
    if (held !== 0 && view.names("eventfd", held, subject, "held eventfd")) view.hold(held);
    const eventfd = words.get(producer + Producer.eventfd);
    if (eventfd === 0) auditUnregistered(view, producer, subject);
    else if (view.names("eventfd", eventfd, subject, "eventfd"))
      auditRegistered(view, producer, eventfd, subject);
  }
  for (const [index, producer] of view.producerAt) {
    const registered = view.isLive("producer", producer) ? slot(words.get(producer + Producer.eventfd)) : -1;
    if (registered === index) continue;
    view.find(
      "index",
      "the index of producers",
      `eventfd ${index} leads to ${view.name("producer", producer)}, which is not registered there`,
    );
  }
}

function auditUnregistered(view: View, producer: number, subject: string): void {
  const { words } = view;
  const owner = words.get(producer + Producer.owner);
  if (owner !== 0) view.madeBy(owner, subject);
  const consumer = words.get(producer + Producer.consumer);
  if (consumer !== 0) {
    view.find(
      "partner",
      subject,
      `is not registered, and is connected to ${view.name("consumer", consumer)}`,
    );
  }
  auditRelayed(view, words.load(producer + Producer.irte), subject, "it is not registered");
}

function auditRegistered(view: View, producer: number, eventfd: number, subject: string): void {
  const { words, host } = view;
  const name = view.name("eventfd", eventfd);
  const index = host.pools.eventfd.slot(eventfd);
  if (view.producerAt.get(index) !== producer) {
    view.find(
      "index",
      subject,
      `is registered under ${name}, and the index of producers does not lead to it`,
    );
  }
  const owner = words.get(producer + Producer.owner);
  if (!view.isAttached(owner)) {
    view.find(
      "orphan",
      subject,
      `is registered under ${name}, and ${view.name("thread", owner)}, which may signal it, is gone`,
    );
  }
  const consumer = words.get(producer + Producer.consumer);
  const there = view.consumerAt.get(index) ?? 0;
  const entry = words.load(producer + Producer.irte);
  if (consumer === 0) {
    // Both registered and not connected: only where a connection that had been was refused when it was to be had back.
    const refused = view.isLive("consumer", there) && words.get(there + Consumer.refusal) !== 0;
    if (there !== 0 && !refused) {
      view.find(
        "partner",
        subject,
        `is not connected to ${view.name("consumer", there)}, which is registered under the same ${name}`,
      );
    }
    auditRelayed(view, entry, subject, "it is not connected");
    return;
  }
  if (!view.names("consumer", consumer, subject, "consumer")) return;
  const back = words.get(consumer + Consumer.producer);
  if (back !== producer || there !== consumer) {
    const other = back === 0 ? "none" : view.name("producer", back);
    const why = back === producer ? `which ${name} does not lead to` : `whose producer is ${other}`;
    view.find("partner", subject, `is connected to ${view.name("consumer", consumer)}, ${why}`);
    return;
  }
  // Only where this thread knows how the other end connects: a relay's own thread has the names of the kinds alone.
  const kind = host.kinds[words.get(consumer + Consumer.kind)];
  if (kind?.consumer?.addProducer !== irqfdOps.addProducer) return;
  const expected = entryFor(words, words.get(producer + Producer.owner), consumer);
  if (entry !== expected) {
    view.find(
      "entry",
      subject,
      `its remapping entry says ${tell(entry)}, and its irqfd's target comes to ${tell(expected)}`,
    );
  }
}

function auditRelayed(view: View, entry: number, subject: string, why: string): void {
  if (modeOf(entry) === Mode.relayed && isReason(entry)) return;
  view.find("entry", subject, `its remapping entry says ${tell(entry)}, and ${why}`);
}

/** Is this an entry or target of mode relayed, with a reason and nothing else? */
export function isReason(entry: number): boolean {
  return vectorOf(entry) < REASONS.length && targetOf(entry) === 0;
}

/** An entry in words. */
export function tell(entry: number): string {
  switch (modeOf(entry)) {
    case Mode.relayed:
      return isReason(entry) ? `relayed (${REASONS[vectorOf(entry)]})` : `0x${(entry >>> 0).toString(16)}`;
    case Mode.posted:
      return `posted to vCPU record ${targetOf(entry)}, vector ${vectorOf(entry)}`;
    case Mode.injected:
      return `injected by record ${targetOf(entry)}`;
    default:
      return `0x${(entry >>> 0).toString(16)}`;
  }
}
