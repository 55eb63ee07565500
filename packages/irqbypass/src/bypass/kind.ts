import type { Kind as EventfdKind } from "../eventfd/kind.js";
import { checkObject, show } from "../host/argument.js";
import { type ErrorCode, IrqBypassError } from "../host/errors.js";
import type { HostMemory } from "../host/memory.js";
import type { ThreadModule } from "../host/spawn.js";
import type { Reason } from "../posting/reason.js";

/** What an add callback returns to refuse a connection; returning nothing accepts it. */
export interface Refusal {
  readonly code: ErrorCode;
  readonly reason?: Reason;
}

/**
 * Callbacks get the two records (references into the host's memory). They run under the host mutex, in the thread
 * whose register or unregister caused them, so they must not block and must not call the manager: that is EDEADLK.
 * What they need to remember they keep in shared words.
 */
export type AddCallback = (memory: HostMemory, producer: number, consumer: number) => Refusal | undefined;
export type Callback = (memory: HostMemory, producer: number, consumer: number) => void;

/** The operations of a producer kind (struct irq_bypass_producer). All optional: most devices need none. */
export interface ProducerOps {
  /** First of the two add callbacks: may refuse. */
  readonly addConsumer?: AddCallback;
  /** Undoes it, after the consumer's side is undone. */
  readonly delConsumer?: Callback;
  /** Quiesces the device around every change of the connection; always followed by one `start`. */
  readonly stop?: Callback;
  readonly start?: Callback;
}

/** The operations of a consumer kind (struct irq_bypass_consumer). Adding and deleting are mandatory. */
export interface ConsumerOps {
  /** Does the bypass: writes the producer's remapping entry. May refuse. */
  readonly addProducer?: AddCallback;
  /** Undoes the bypass. */
  readonly delProducer?: Callback;
  readonly stop?: Callback;
  readonly start?: Callback;
}

/** A kind of producer or consumer with its operations. Fixed when the host is created. */
export interface Kind extends EventfdKind {
  readonly producer?: ProducerOps;
  readonly consumer?: ConsumerOps;
  /**
   * Delivers an interrupt of mode `injected` from the calling thread; gets the injection record. Returns false where it was
   * dropped, since no local APIC took it.
   */
  readonly inject?: (memory: HostMemory, injection: number) => boolean;
  /** What the path of this kind's interrupts is called while they are not bypassed; "relayed" if absent. */
  readonly unbypassed?: "irqfd";
}

const CALLBACKS = ["capable", "hangup", "forget", "signal", "inject"];
const PARTS = ["producer", "consumer", "listen", "relay"];

/** Throws EINVAL for what is no kind: its parts are objects, and what is to be called can be. */
export function checkKindParts(kind: Kind): void {
  checkObject(kind, "kinds such as { name: 'mine', producer: {} }");
  const all = kind as unknown as Readonly<Record<string, unknown>>;
  for (const name of CALLBACKS) checkCallback(all[name], name);
  for (const part of PARTS) {
    const value = all[part];
    if (value === undefined) continue;
    checkObject(value, `an object as ${part} of a kind, or none`);
    for (const [name, callback] of Object.entries(value as object)) {
      if (part === "relay" && name === "thread") checkThread(callback);
      else checkCallback(callback, `${part}.${name}`);
    }
  }
}

function checkThread(thread: unknown): void {
  checkObject(thread, "the module of a thread as relay.thread of a kind");
  const { name, start } = thread as Partial<ThreadModule>;
  if (typeof name === "string" && typeof start === "function") return;
  throw new IrqBypassError("EINVAL", `relay.thread of a kind is ${show(thread)}: give { name, start }`);
}

function checkCallback(value: unknown, name: string): void {
  if (value === undefined || typeof value === "function") return;
  throw new IrqBypassError("EINVAL", `${name} of a kind is ${show(value)}: give a function, or none`);
}
