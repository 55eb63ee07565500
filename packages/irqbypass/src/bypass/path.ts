import { relayRuns } from "../eventfd/relay-state.js";
import { Consumer, Eventfd, EventfdFlag, Header, Producer } from "../host/layout.js";
import { Mode, modeOf, reasonOf } from "../posting/irte.js";
import { REASONS, type Reason, WORST_FIRST } from "../posting/reason.js";
import type { BypassHost } from "./bypass-host.js";
import { POLICIES } from "./remapping.js";

/**
 * The way of an interrupt: `posted` into a software vCPU's descriptor, `injected` by one KVM_SIGNAL_MSI of the
 * signalling thread, `irqfd` through a Linux eventfd inside KVM, `relayed` through the eventfd by the relay thread.
 */
export type Path = "posted" | "injected" | "irqfd" | "relayed";

/** The path of a producer's signals, read from its remapping entry. Like all of these, under the host mutex. */
export function pathOf(host: BypassHost, producer: number): Path {
  const { words } = host;
  const mode = modeOf(words.load(producer + Producer.irte));
  if (mode === Mode.posted) return "posted";
  if (mode === Mode.injected) return "injected";
  const consumer = words.get(producer + Producer.consumer);
  return consumer === 0 ? "relayed" : unbypassedPath(host, consumer);
}

export function reasonOfProducer(host: BypassHost, producer: number): Reason | undefined {
  return reasonOf(host.words.load(producer + Producer.irte));
}

/** The path of an irqfd's interrupts: its producer's, if it has one. */
export function pathOfConsumer(host: BypassHost, consumer: number): Path {
  const producer = host.words.get(consumer + Consumer.producer);
  return producer === 0 ? unbypassedPath(host, consumer) : pathOf(host, producer);
}

/**
 * Why an irqfd's interrupts are not bypassed, the worst reason; undefined while they are. That nobody relays them is said before
 * anything else: until somebody does they wait.
 */
export function reasonOfConsumer(host: BypassHost, consumer: number): Reason | undefined {
  return reasonsOfConsumer(host, consumer)[0];
}

/** All reasons why an irqfd's interrupts are not bypassed, the worst first; none while they are. */
export function reasonsOfConsumer(host: BypassHost, consumer: number): readonly Reason[] {
  const { words, manager } = host;
  const producer = words.get(consumer + Consumer.producer);
  const found = new Set<Reason | undefined>();
  if (producer === 0) {
    const waits = manager.producerAt(words.get(consumer + Consumer.holds)) !== 0;
    const refusal = REASONS[words.get(consumer + Consumer.refusal)];
    if (POLICIES[words.get(consumer + Consumer.policy)] === "off") found.add("policy-off");
    if (!waits) found.add("no-producer");
    // The end of a producer is no reason any more where there is another.
    const isEnd = refusal === "thread-died" || refusal === "thread-ended";
    if (refusal !== undefined && refusal !== "none" && !(waits && isEnd)) found.add(refusal);
  } else {
    const reason = reasonOfProducer(host, producer);
    if (reason === undefined) return [];
    found.add(reason);
  }
  found.add(reasonOf(words.load(consumer + Consumer.target)));
  if (words.load(Header.bypass) === 0) found.add("switched-off");
  if (waitsForRelay(host, consumer)) found.add("relay-not-running");
  return WORST_FIRST.filter((reason) => found.has(reason));
}

function waitsForRelay(host: BypassHost, consumer: number): boolean {
  return pathOfConsumer(host, consumer) === "relayed" && !relayRuns(host.words, relayOf(host, consumer));
}

/** Number of the kind whose relay delivers what the eventfd of an irqfd is signalled with; -1 where the kernel does that. */
export function relayOf(host: BypassHost, consumer: number): number {
  if (unbypassedPath(host, consumer) !== "relayed") return -1;
  const { words, kinds } = host;
  const eventfd = words.get(consumer + Consumer.holds);
  const kind = words.load(eventfd + Eventfd.flags) >>> EventfdFlag.kindShift;
  const own = kinds[words.get(consumer + Consumer.kind)]?.listen;
  return own === undefined && kinds[kind]?.relay !== undefined ? kind : 0;
}

/** The path of an irqfd's interrupts that no bypass takes. */
export function unbypassedPath(host: BypassHost, consumer: number): Path {
  const kind = host.kinds[host.words.get(consumer + Consumer.kind)];
  return kind?.unbypassed ?? "relayed";
}
