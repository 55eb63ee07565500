import type { HostMemory } from "../host/memory.js";
import { Tried } from "../host/mutex.js";
import type { Kind } from "./kind.js";
import { irqfdOps } from "./remapping.js";

/**
 * The functions of `registration.ts` where the host has them compiled; where it has not, they would gain nothing over the
 * manager itself, and nothing is tried.
 */
export class FastPath {
  private readonly mine: number;
  private readonly plain: number;

  constructor(
    private readonly memory: HostMemory,
    kinds: readonly Kind[],
  ) {
    this.mine = memory.thread.lockId << 1;
    this.plain = kinds.reduce((plain, kind, n) => plain | (isPlain(kind) ? 1 << n : 0), 0);
  }

  registerProducer(producer: number, eventfd: number, irq: number, owner: number): number {
    const { compiled, base, thread } = this.memory;
    if (compiled === undefined || thread.left) return Tried.not;
    try {
      return compiled.registerProducer(base, this.mine, this.plain, producer, eventfd, irq, owner);
    } catch (error) {
      throw this.trapped(error);
    }
  }

  registerConsumer(consumer: number, eventfd: number): number {
    const { compiled, base, thread } = this.memory;
    if (compiled === undefined || thread.left) return Tried.not;
    try {
      return compiled.registerConsumer(base, this.mine, this.plain, consumer, eventfd);
    } catch (error) {
      throw this.trapped(error);
    }
  }

  unregisterProducer(producer: number): number {
    const { compiled, base, thread } = this.memory;
    if (compiled === undefined || thread.left) return Tried.not;
    try {
      return compiled.unregisterProducer(base, this.mine, this.plain, producer);
    } catch (error) {
      throw this.trapped(error);
    }
  }

  unregisterConsumer(consumer: number): number {
    const { compiled, base, thread } = this.memory;
    if (compiled === undefined || thread.left) return Tried.not;
    try {
      return compiled.unregisterConsumer(base, this.mine, this.plain, consumer, thread.record);
    } catch (error) {
      throw this.trapped(error);
    }
  }

  /** Compiled code throws only where something else has written to the index: past the end of the memory. */
  private trapped(error: unknown): unknown {
    if (this.memory.mutex.held()) this.memory.mutex.give();
    return error;
  }
}

function isPlain({ producer, consumer }: Kind): boolean {
  return producer === undefined && consumer === irqfdOps;
}
