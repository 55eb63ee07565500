import type { HostMemory } from "./memory.js";

/**
 * A kind of producer or consumer, as the ground floor needs to know it. Records name their kind by number, and
 * its operations run in whichever thread acts, so every thread of a host has the same kinds.
 */
export interface Kind {
  /** What the kind is called in errors and in the host's header. */
  readonly name: string;
  /** Does the calling thread have what this kind needs, such as system calls? */
  readonly capable?: () => boolean;
  /** How an irqfd listens to eventfds of this kind; in the host's own memory if absent. */
  readonly listen?: Listen;
  /** The last handle of the eventfd of `consumer` was closed (EPOLLHUP): deassign it. */
  readonly hangup?: (memory: HostMemory, consumer: number) => void;
}

/**
 * How an irqfd of a software VM listens to an eventfd: the eventfd's record is bound to the irqfd already, so these
 * do what else it takes. Both may block for a system call, neither may be called under a mutex.
 */
export interface Listen {
  /** From here on the relay hears of the eventfd. Returns whether its counter was above 0 at that moment. */
  start(memory: HostMemory, irqfd: number, eventfd: number): boolean;
  /** From here on nothing new makes the irqfd pending; reads the counter out (a semaphore by one unit). */
  stop(memory: HostMemory, irqfd: number, eventfd: number): void;
}
