import type { EventfdKind, Listen, Relay, Watching } from "../eventfd/kind.js";
import { checkParts, type OptionNames, show } from "../host/argument.js";
import { type ErrorCode, IrqBypassError } from "../host/errors.js";
import type { HostMemory } from "../host/memory.js";
import type { ThreadModule } from "../host/spawn.js";
import type { Reason } from "../posting/reason.js";

/** What an add callback returns to refuse a connection; returning nothing accepts it. */
export interface Refusal {
  /** What the register throws with: "EBUSY", for one. */
  readonly code: ErrorCode;
  /** What the irqfd says from then on; "refused" if absent. */
  readonly reason?: Reason;
}

/**
 * Callbacks get the two records (references into the host's memory). They run under the host mutex, in the thread
 * whose register or unregister caused them, so they must not block and must not call the manager: that is EDEADLK.
 * What they need to remember they keep in shared words.
 */
export type AddCallback = (memory: HostMemory, producer: number, consumer: number) => Refusal | undefined;
/** As an {@link AddCallback}, of what cannot be refused. */
export type Callback = (memory: HostMemory, producer: number, consumer: number) => void;

/** The operations of a producer kind (struct irq_bypass_producer). All optional: most devices need none. */
export interface ProducerOps {
  /** First of the two add callbacks: may refuse. */
  readonly addConsumer?: AddCallback;
  /** Undoes it, after the consumer's side is undone. */
  readonly delConsumer?: Callback;
  /** Quiesces the device around every change of the connection; always followed by one `start`. */
  readonly stop?: Callback;
  /** Lets it go on: always after a `stop`, also where the change failed. */
  readonly start?: Callback;
}

/** The operations of a consumer kind (struct irq_bypass_consumer). Adding and deleting are mandatory. */
export interface ConsumerOps {
  /** Does the bypass: writes the producer's remapping entry. May refuse. */
  readonly addProducer?: AddCallback;
  /** Undoes the bypass. */
  readonly delProducer?: Callback;
  /** Quiesces the VM's side around every change of the connection; always followed by one `start`. */
  readonly stop?: Callback;
  /** Lets it go on: always after a `stop`, also where the change failed. */
  readonly start?: Callback;
}

/** A kind of producer or consumer with its operations. Fixed when the host is created. */
export interface Kind extends EventfdKind {
  /** What a producer of this kind does when it is connected; none for a kind of consumers. */
  readonly producer?: ProducerOps;
  /** The same for a consumer. */
  readonly consumer?: ConsumerOps;
  /**
   * @internal Delivers an interrupt of mode `injected` from the calling thread; gets the injection record. Returns false where it was
   * dropped, since no local APIC took it.
   */
  readonly inject?: (memory: HostMemory, injection: number) => boolean;
  /** @internal What the path of this kind's interrupts is called while they are not bypassed; "relayed" if absent. */
  readonly unbypassed?: "irqfd";
}

type What = "text" | "function" | "object";

const KIND: Readonly<Record<keyof Kind, What>> = {
  name: "text",
  producer: "object",
  consumer: "object",
  listen: "object",
  watching: "object",
  relay: "object",
  ioeventfd: "object",
  capable: "function",
  hangup: "function",
  forget: "function",
  reclaim: "function",
  closeLeft: "function",
  closeVm: "function",
  settle: "function",
  signal: "function",
  take: "function",
  inject: "function",
  ffi: "function",
  info: "function",
  unbypassed: "text",
};
const PRODUCER: OptionNames<ProducerOps> = { addConsumer: true, delConsumer: true, stop: true, start: true };
const CONSUMER: OptionNames<ConsumerOps> = { addProducer: true, delProducer: true, stop: true, start: true };
const LISTEN: OptionNames<Listen> = { start: true, stop: true, waits: true, flush: true };
const IOEVENTFD: OptionNames<NonNullable<Kind["ioeventfd"]>> = { assign: true, deassign: true };
const WATCHING: OptionNames<Watching> = {
  add: true,
  remove: true,
  take: true,
  arm: true,
  again: true,
  close: true,
};
const RELAY: OptionNames<Relay> = { thread: true, wake: true, close: true };
const THREAD: OptionNames<ThreadModule> = { name: true, start: true };

/** Throws EINVAL for what is no kind: it has no parts but those above, its parts are objects, and what is to be called can be. */
export function checkKindParts(kind: Kind): void {
  checkParts(kind, KIND, "kinds such as { name: 'mine', producer: {} }", "a kind's ");
  const { producer, consumer, listen, watching, relay, ioeventfd, unbypassed } = kind;
  for (const [name, what] of Object.entries(KIND)) {
    if (what === "function") checkCallback(kind[name as keyof Kind], name);
  }
  checkPart(producer, PRODUCER, "producer", []);
  checkPart(consumer, CONSUMER, "consumer", []);
  checkPart(listen, LISTEN, "listen", ["start", "stop"]);
  checkPart(watching, WATCHING, "watching", Object.keys(WATCHING));
  checkPart(relay, RELAY, "relay", ["thread"]);
  checkPart(ioeventfd, IOEVENTFD, "ioeventfd", ["assign", "deassign"]);
  if (unbypassed !== undefined && unbypassed !== "irqfd")
    throw new IrqBypassError(
      "EINVAL",
      `unbypassed of a kind is ${show(unbypassed)}: use irqfd, or leave it out`,
    );
}

/** A part of a kind: functions, but for the thread of a relay. */
function checkPart(
  part: object | undefined,
  names: Readonly<Record<string, true>>,
  name: string,
  required: readonly string[],
): void {
  if (part === undefined) return;
  checkParts(part, names, `an object as ${name} of a kind, or none`, `${name}.`);
  const values = part as Readonly<Record<string, unknown>>;
  for (const one of Object.keys(names)) {
    if (values[one] === undefined && required.includes(one))
      throw new IrqBypassError(
        "EINVAL",
        `${name} of a kind has no ${one}: give it one, or leave ${name} out`,
      );
    if (one === "thread") checkThread(values[one]);
    else checkCallback(values[one], `${name}.${one}`);
  }
}

function checkThread(thread: unknown): void {
  checkParts(thread, THREAD, "the module of a thread as relay.thread of a kind", "relay.thread.");
  const { name, start } = thread as Partial<ThreadModule>;
  if (typeof name === "string" && typeof start === "function") return;
  throw new IrqBypassError("EINVAL", `relay.thread of a kind is ${show(thread)}: give { name, start }`);
}

function checkCallback(value: unknown, name: string): void {
  if (value === undefined || typeof value === "function") return;
  throw new IrqBypassError("EINVAL", `${name} of a kind is ${show(value)}: give a function, or none`);
}
