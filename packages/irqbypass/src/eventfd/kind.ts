import type { HostKind, HostMemory } from "../host/memory.js";
import type { ThreadModule } from "../host/spawn.js";

/** A kind of producer, consumer or eventfd, as far as its eventfds and their ends go. */
export interface EventfdKind extends HostKind {
  /** @internal How an irqfd listens: for a kind of consumer its own way, for a kind of eventfd that of software VMs. */
  readonly listen?: Listen;
  /** @internal The last handle of the eventfd of `consumer` was closed (EPOLLHUP): deassign it. */
  readonly hangup?: (memory: HostMemory, consumer: number) => void;
  /**
   * @internal An eventfd record of this kind is about to be given back. Called under the host mutex; what it returns is called
   * after that, and may make system calls.
   */
  readonly forget?: (memory: HostMemory, eventfd: number) => () => void;
  /**
   * @internal Closes what `forget` returned to be closed, after the thread that was to do it has died: it may or may not have done so.
   */
  readonly reclaim?: (memory: HostMemory, eventfd: number) => void;
  /** @internal Closes what the record of a thread that is gone names in {@link Thread.descriptor}, and no other record. */
  readonly closeLeft?: (memory: HostMemory, gone: number) => void;
  /** @internal Closes what a VM of this kind has open, whose thread is gone. */
  readonly closeVm?: (memory: HostMemory, vm: number) => void;
  /**
   * @internal Has what the system keeps of a VM of this kind follow what memory says, where a thread has died that was at it. Under the
   * VM's mutex; throws what the system says, and it is to be done still then.
   */
  readonly settle?: (memory: HostMemory, vm: number) => void;
  /**
   * @internal Told of each ioeventfd of a VM whose guest's stores this kind takes, before stores can ring it and when none does any
   * more. Both make system calls; `assign` under the VM's mutex, and throws what the system says with nothing done.
   */
  readonly ioeventfd?: {
    assign(memory: HostMemory, ioeventfd: number): void;
    deassign(memory: HostMemory, ioeventfd: number): void;
  };
  /** @internal Signals an eventfd record of this kind as a device does; may make system calls, never refuses for a full counter. */
  readonly signal?: (memory: HostMemory, eventfd: number) => void;
  /**
   * @internal Takes the counter of an eventfd record of this kind, of a semaphore one unit: was there something? May make system calls;
   * false where the calling thread can make none.
   */
  readonly take?: (memory: HostMemory, eventfd: number) => boolean;
  /** @internal The C library of the calling thread, for a kind that makes system calls. */
  readonly ffi?: () => unknown;
  /** @internal What the system says of a descriptor, for a kind that has some. */
  readonly info?: (fd: number) => unknown;
  /** @internal How an epoll watches an eventfd of this kind. Absent where whoever signals it looks for watches. */
  readonly watching?: Watching;
  /** @internal The thread that relays for this kind. Whoever created the host starts it when it is needed. */
  readonly relay?: Relay;
}

/** A host's memory whose kinds say how their eventfds are signalled, listened to and closed. */
export interface EventfdHost extends HostMemory {
  /** @internal */
  readonly kinds: readonly EventfdKind[];
}

/**
 * How an irqfd listens to an eventfd: the eventfd's record is bound to the irqfd before `start`, and until after `stop`, so
 * these do what else it takes. Both may make system calls. `start` is called under the VM's mutex, `stop` under none.
 *
 * A count that is taken out for an irqfd is owed: before it is taken, something says so that outlives the thread (the
 * irqfd's pending word, or the in-flight word of the writer, by which repair makes it pending). So each signal is an
 * interrupt, or due, or in the counter, at every moment.
 */
export interface Listen {
  /**
   * From here on a signal of the eventfd is an interrupt. Returns whether an injection is due at once, because the
   * counter was above 0. Throws what the system says, with nothing done.
   */
  start(memory: HostMemory, irqfd: number, eventfd: number): boolean;
  /**
   * The irqfd is about to be taken off the eventfd. Reads the counter out (a semaphore by one unit), which to every writer is
   * one step with that (eventfd_ctx_remove_wait_queue): what was written before is an interrupt or is made pending, what is
   * written once nobody listens stays in the counter. Done again, it finishes what a thread has begun that died.
   */
  stop(memory: HostMemory, irqfd: number, eventfd: number): void;
  /**
   * Is there a signal that a relay has not taken yet? For tools, where no relay runs: makes system calls, and under no mutex,
   * so that the eventfd may be gone by now. Absent where the irqfd's pending word says it.
   */
  readonly waits?: (memory: HostMemory, eventfd: number) => boolean;
  /**
   * Delivers a signal that is there and that no relay has come to, of an irqfd that may be gone: it is told by its generation. Not
   * under a mutex. Absent where the irqfd's pending word says it, or the kernel delivers.
   */
  readonly flush?: (memory: HostMemory, irqfd: number, generation: number) => void;
}

/**
 * How an epoll watches eventfds that are signalled without anybody in the host. Called with records of watches, and of the epoll that
 * they are in. Makes system calls, and is called under no mutex where it is not said.
 */
export interface Watching {
  /** From here on `take` reports the watch. Throws what the system says, with nothing done. */
  add(memory: EventfdHost, watch: number): void;
  /** The mirror image. Done again, it does nothing. */
  remove(memory: EventfdHost, watch: number): void;
  /** Calls `report` with watches that are ready, at most `most`. The calling thread has announced the epoll. */
  take(memory: EventfdHost, epoll: number, most: number, report: (watch: number) => void): void;
  /** Has the waiter called as soon as something is ready. Returns for how long it may sleep at most, as it may not hear of that. */
  arm(memory: EventfdHost, epoll: number): number;
  /** Has a watch reported once more if it is ready: whoever took events last has died. Under the host mutex. */
  again(memory: EventfdHost, watch: number): void;
  /** Closes what it has of an epoll that watches nothing any more. */
  close(memory: EventfdHost, epoll: number): void;
}

/** A relay thread. */
export interface Relay {
  /** Its module; it is told a `RelayStart`. */
  readonly thread: ThreadModule;
  /** Ends its wait, so that it looks at its state word. Absent where it looks by itself, often enough. */
  readonly wake?: (memory: HostMemory) => void;
  /** No relay of this kind runs any more, and none will: closes what it waited on, if that is open. May be called again. */
  readonly close?: (memory: HostMemory) => void;
}
