/**
 * The bypass itself: what a producer's remapping entry says while it is connected to an irqfd. Every entry is
 * written here, under the host mutex.
 */
import { Consumer, Header, Producer, Thread } from "../host/layout.js";
import type { HostMemory } from "../host/memory.js";
import type { Words } from "../host/words.js";
import { Mode, modeOf, NO_CAPABILITY, reasonOf, SWITCHED_OFF, UNCONNECTED } from "../posting/irte.js";
import type { ConsumerOps, Refusal } from "./kind.js";

/** What an irqfd asks for: `off` no bypass, `prefer` bypass where possible, `require` bypass or an error. */
export const POLICIES = ["off", "prefer", "require"] as const;
/** One of {@link POLICIES}. */
export type Policy = (typeof POLICIES)[number];

/** The operations of every irqfd, software or KVM: connecting copies the irqfd's target into the producer's entry. */
export const irqfdOps: ConsumerOps = {
  addProducer(memory, producer, consumer): Refusal | undefined {
    const { words } = memory;
    const entry = entryFor(words, words.get(producer + Producer.owner), consumer);
    const reason = reasonOf(entry);
    if (reason !== undefined && requires(memory, consumer)) return { code: "EOPNOTSUPP", reason };
    words.store(producer + Producer.irte, entry);
    return undefined;
  },
  delProducer(memory, producer): void {
    memory.words.store(producer + Producer.irte, UNCONNECTED);
  },
};

/**
 * The entry that a producer which this thread may signal gets while it is connected to `consumer`. Under the host mutex.
 * Compiled to WebAssembly as well (`scripts/compile.mjs`).
 */
export function entryFor(words: Words, owner: number, consumer: number): number {
  if (words.load(Header.bypass) === 0) return SWITCHED_OFF;
  const target = words.load(consumer + Consumer.target);
  if (modeOf(target) !== Mode.injected) return target;
  const kind = words.get(consumer + Consumer.kind);
  return ((words.get(owner + Thread.capable) >>> kind) & 1) !== 0 ? target : NO_CAPABILITY;
}

/**
 * Writes the entry of a connected consumer's producer anew, after its target or the switch has changed. Returns the
 * producer to fence, 0 if the entry is as it was or nobody is connected. Under the host mutex.
 */
export function refresh(memory: HostMemory, consumer: number): number {
  const { words } = memory;
  const producer = words.get(consumer + Consumer.producer);
  if (producer === 0) return 0;
  const entry = entryFor(words, words.get(producer + Producer.owner), consumer);
  return words.exchange(producer + Producer.irte, entry) === entry ? 0 : producer;
}

/** The same for every connected consumer of the host, one at a time. Not under the host mutex. */
export function refreshAll(memory: HostMemory): void {
  memory.forEachLive(memory.pools.consumer, (consumer) => {
    refresh(memory, consumer);
  });
}

/** Was the irqfd assigned with bypass: "require"? */
export function requires(memory: HostMemory, consumer: number): boolean {
  return memory.words.get(consumer + Consumer.policy) === POLICIES.indexOf("require");
}
