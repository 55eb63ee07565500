import { irqfdOf } from "../eventfd/reference.js";
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

/**
 * The path of a producer's signals, registered or not: that of its remapping entry, else that of the irqfd at its eventfd, which need
 * not be connected to it. Like all of these, under the host mutex.
 */
export function pathOf(host: BypassHost, producer: number): Path {
  const mode = modeOf(host.words.load(producer + Producer.irte));
  if (mode === Mode.posted) return "posted";
  if (mode === Mode.injected) return "injected";
  const irqfd = irqfdAt(host, eventfdOf(host, producer));
  return irqfd === 0 ? "relayed" : unbypassedPath(host, irqfd);
}

/** The path of an irqfd's interrupts: its producer's, if it has one. */
export function pathOfConsumer(host: BypassHost, consumer: number): Path {
  const producer = host.words.get(consumer + Consumer.producer);
  return producer === 0 ? unbypassedPath(host, consumer) : pathOf(host, producer);
}

/**
 * Why a producer's signals are not bypassed, registered or not, the worst reason; undefined while they are. Where it is the producer that
 * the irqfd at its eventfd knows of, both say the same, but that the irqfd also says that nobody relays, which keeps nothing from being bypassed.
 */
export function reasonOfProducer(host: BypassHost, producer: number): Reason | undefined {
  const said = reasonOf(host.words.load(producer + Producer.irte));
  // What it says itself is all there is while an irqfd is being assigned.
  return said && (reasonsOf(host, producer, irqfdAt(host, eventfdOf(host, producer)))[0] ?? said);
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
  const reasons = reasonsOf(host, manager.producerAt(words.get(consumer + Consumer.holds)), consumer);
  return waitsForRelay(host, consumer) ? ["relay-not-running", ...reasons] : reasons;
}

function waitsForRelay(host: BypassHost, consumer: number): boolean {
  return pathOfConsumer(host, consumer) === "relayed" && !relayRuns(host.words, relayOf(host, consumer));
}

/** The irqfd at an eventfd, also one that wants no bypass or could not have it, and so is not registered; 0 without one. */
export function irqfdAt(host: BypassHost, eventfd: number): number {
  return eventfd === 0 ? 0 : host.manager.consumerAt(eventfd) || irqfdOf(host, eventfd);
}

/** Why signals of a producer, registered or not, do not bypass on their way to an irqfd, the worst first; either is 0 where there is none. */
function reasonsOf(host: BypassHost, producer: number, irqfd: number): readonly Reason[] {
  const { words } = host;
  if (producer !== 0 && modeOf(words.load(producer + Producer.irte)) !== Mode.relayed) return [];
  const found = new Set([producer === 0 ? "no-producer" : ownReason(host, producer, irqfd)]);
  if (irqfd !== 0) {
    if (words.get(irqfd + Consumer.producer) === 0) {
      const refusal = REASONS[words.get(irqfd + Consumer.refusal)] as Reason;
      const isEnd = refusal === "thread-died" || refusal === "thread-ended";
      if (POLICIES[words.get(irqfd + Consumer.policy)] === "off") found.add("policy-off");
      // The end of a producer is no reason any more where there is another.
      if (!isEnd || producer === 0 || words.get(producer + Producer.eventfd) === 0) found.add(refusal);
    }
    found.add(reasonOf(words.load(irqfd + Consumer.target)));
    if (words.load(Header.bypass) === 0) found.add("switched-off");
  }
  return WORST_FIRST.filter((reason) => found.has(reason));
}

/**
 * What a producer has to say itself. One that is registered beside an irqfd that is not connected has nothing; one that is not registered
 * says why, for as long as that holds: nobody tries again by himself, and then its eventfd has no producer.
 */
function ownReason(host: BypassHost, producer: number, irqfd: number): Reason | undefined {
  const { words, manager } = host;
  const said = reasonOf(words.load(producer + Producer.irte));
  if (words.get(producer + Producer.eventfd) !== 0)
    return irqfd === 0 || words.get(producer + Producer.consumer) !== 0 ? said : undefined;
  const eventfd = words.load(producer + Producer.holds);
  const isOver = said === "no-consumer" || (said === "another-producer" && manager.producerAt(eventfd) === 0);
  return eventfd !== 0 && isOver ? "no-producer" : said;
}

/** The eventfd that a producer is registered under, or is to signal; 0 for one that has none. */
function eventfdOf({ words }: BypassHost, producer: number): number {
  return words.get(producer + Producer.eventfd) || words.load(producer + Producer.holds);
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
