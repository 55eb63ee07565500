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

  registerProducer(producer: number, eventfd: number, irq: number): number {
    const { compiled, base, thread } = this.memory;
    if (compiled === undefined) return Tried.not;
    return compiled.registerProducer(base, this.mine, this.plain, producer, eventfd, irq, thread.record);
  }

  registerConsumer(consumer: number, eventfd: number): number {
    const { compiled, base } = this.memory;
    if (compiled === undefined) return Tried.not;
    return compiled.registerConsumer(base, this.mine, this.plain, consumer, eventfd);
  }

  unregisterProducer(producer: number): number {
    const { compiled, base } = this.memory;
    if (compiled === undefined) return Tried.not;
    return compiled.unregisterProducer(base, this.mine, this.plain, producer);
  }

  unregisterConsumer(consumer: number): number {
    const { compiled, base, thread } = this.memory;
    if (compiled === undefined) return Tried.not;
    return compiled.unregisterConsumer(base, this.mine, this.plain, consumer, thread.record);
  }
}

function isPlain({ producer, consumer }: Kind): boolean {
  return producer === undefined && consumer === irqfdOps;
}
