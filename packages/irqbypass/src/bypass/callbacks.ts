import { isOf, type OptionNames, readOptions, show } from "../host/argument.js";
import { ERRNO, errorCode, IrqBypassError } from "../host/errors.js";
import { Consumer, Producer } from "../host/layout.js";
import type { HostMemory } from "../host/memory.js";
import { nearest } from "../host/spelling.js";
import { REASONS } from "../posting/reason.js";
import type { AddCallback, Callback, ConsumerOps, Kind, ProducerOps, Refusal } from "./kind.js";
import { irqfdOps } from "./remapping.js";

/** An error that a callback threw where nothing could be refused any more. */
export interface CallbackFault {
  readonly callback: string;
  readonly error: unknown;
}

/** A connection that one of the two ends refused. */
export interface FailedConnect {
  readonly side: "producer" | "consumer";
  readonly refusal: Refusal;
  /** What the callback threw, if it did not return its refusal. */
  readonly error?: unknown;
}

const FAULTS_KEPT = 64;
const NO_OPS = {};

/** Finds the operations of a record's kind, and runs them so that a throw cannot leave a change half done. */
export class Callbacks {
  /** The last errors thrown by callbacks in this thread where nothing could be refused, oldest first. */
  readonly faults: CallbackFault[] = [];

  constructor(
    private readonly memory: HostMemory,
    private readonly kinds: readonly Kind[],
  ) {}

  producer(producer: number): ProducerOps {
    return this.kinds[this.memory.words.get(producer + Producer.kind)]?.producer ?? NO_OPS;
  }

  consumer(consumer: number): ConsumerOps {
    return this.kinds[this.memory.words.get(consumer + Consumer.kind)]?.consumer ?? NO_OPS;
  }

  /** Runs an add callback; a throw refuses the connection. */
  attempt(
    callback: AddCallback | undefined,
    side: "producer" | "consumer",
    producer: number,
    consumer: number,
  ): FailedConnect | undefined {
    if (callback === undefined) return undefined;
    const name = side === "producer" ? "producer addConsumer" : "consumer addProducer";
    try {
      const refusal = this.call(callback, name, producer, consumer);
      return refusal === undefined ? undefined : { side, refusal: checkRefusal(name, refusal) };
    } catch (error) {
      const code = isOf(error, IrqBypassError) ? errorCode(error.errno) : "EIO";
      return { side, refusal: { code }, error };
    }
  }

  /** Runs a callback that cannot refuse; a throw is kept and the change goes on. */
  run(callback: Callback | undefined, name: string, producer: number, consumer: number): void {
    if (callback === undefined) return;
    try {
      this.call(callback, name, producer, consumer);
    } catch (error) {
      this.faults.push({ callback: name, error });
      if (this.faults.length > FAULTS_KEPT) this.faults.shift();
    }
  }

  private call<T>(
    callback: (memory: HostMemory, producer: number, consumer: number) => T,
    name: string,
    producer: number,
    consumer: number,
  ): T {
    const { memory } = this;
    if (OWN.has(callback)) return callback(memory, producer, consumer); // it calls nothing
    return memory.thread.runCallback(name, () => callback(memory, producer, consumer));
  }
}

/** The library's own: those of an irqfd. */
const OWN: ReadonlySet<unknown> = new Set(Object.values(irqfdOps));
const REFUSAL: OptionNames<Refusal> = { code: true, reason: true };

/** What an add callback returned, if it is a refusal. Throws EINVAL for anything else: neither was the connection accepted. */
function checkRefusal(name: string, refusal: Refusal): Refusal {
  const returns = `what ${name} returns: nothing to accept the connection, or { code, reason } to refuse it`;
  const read = readOptions(refusal, REFUSAL, returns, `${name} returned an object whose `);
  const { code, reason } = read;
  if (typeof code !== "string" || !Object.hasOwn(ERRNO, code))
    throw new IrqBypassError("EINVAL", `${name} returned the code ${show(code)}: give one as EIO is`);
  const known = REASONS.slice(1);
  if (reason === undefined || known.includes(reason)) return read;
  throw new IrqBypassError(
    "EINVAL",
    `${name} returned the reason ${show(reason)}: did you mean ${nearest(show(reason), known)}, or leave it out`,
  );
}
