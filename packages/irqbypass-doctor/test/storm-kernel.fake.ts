/**
 * A kernel for the storm whose costs are known: it counts what is open, refuses what the real one refuses, and says
 * what each call took.
 */
import type { StormKernel } from "#src/storm/kernel.js";

export interface FakeCosts {
  /** Nanoseconds of an assign with `host` irqfds standing on the host and `own` in that VM. */
  assign(host: number, own: number): number;
  deassign(host: number, own: number): number;
}

export class FakeKernel implements StormKernel {
  readonly vms = new Map<number, Set<number>>();
  readonly eventfds = new Set<number>();
  disposed = 0;
  calls = 0;
  mostStanding = 0;
  /** Called before each call; may throw. */
  before: (call: number) => void = () => {};
  readonly #costs: FakeCosts;
  #next = 100;

  constructor(costs: FakeCosts) {
    this.#costs = costs;
  }

  get standing(): number {
    let sum = 0;
    for (const irqfds of this.vms.values()) sum += irqfds.size;
    return sum;
  }

  get open(): number {
    return this.vms.size + this.eventfds.size;
  }

  createVm(): number {
    this.#enter();
    const fd = this.#next++;
    this.vms.set(fd, new Set());
    return fd;
  }

  createEventfd(): number {
    this.#enter();
    const fd = this.#next++;
    this.eventfds.add(fd);
    return fd;
  }

  assign(vm: number, eventfd: number): number {
    this.#enter();
    const irqfds = this.#vm(vm);
    for (const other of this.vms.values()) if (other.has(eventfd)) throw new Error("EBUSY");
    if (!this.eventfds.has(eventfd)) throw new Error("EBADF");
    const took = this.#costs.assign(this.standing, irqfds.size);
    irqfds.add(eventfd);
    this.mostStanding = Math.max(this.mostStanding, this.standing);
    return took;
  }

  deassign(vm: number, eventfd: number): number {
    this.#enter();
    const irqfds = this.#vm(vm);
    const took = this.#costs.deassign(this.standing, irqfds.size);
    irqfds.delete(eventfd);
    return took;
  }

  close(fd: number): void {
    if (!this.vms.delete(fd) && !this.eventfds.delete(fd)) throw new Error(`EBADF: ${fd} is not open`);
  }

  dispose(): void {
    this.disposed += 1;
  }

  #vm(fd: number): Set<number> {
    const irqfds = this.vms.get(fd);
    if (irqfds === undefined) throw new Error(`EBADF: ${fd} is no VM`);
    return irqfds;
  }

  #enter(): void {
    this.calls += 1;
    this.before(this.calls);
  }
}

/** Numbers from 0 to 1 that are the same in each run (xorshift). */
export function seeded(seed: number): () => number {
  let state = seed | 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 2 ** 32;
  };
}
