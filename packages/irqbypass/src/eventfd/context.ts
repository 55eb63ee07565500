import { type AbortSignalLike, checkClass, readWait, show, type WaitOptions } from "../host/argument.js";
import { deadlineOf, leftUntil } from "../host/deadline.js";
import { IrqBypassError } from "../host/errors.js";
import type { Handle } from "../host/handle.js";
import { Eventfd as E, EventfdFlag, READ_KICKED, Role } from "../host/layout.js";
import type { HostMemory } from "../host/memory.js";
import { Shown } from "../host/shown.js";
import { closeHandle } from "./close.js";
import type { EventfdHost } from "./kind.js";
import { addReference, dropReference } from "./reference.js";
import { fallAsleep, kickReader, MAX_COUNT, takeReadKick, wakeSleepers } from "./signal.js";

/**
 * A handle to an eventfd context (eventfd_ctx): the identity by which a producer and a consumer find each other.
 * `Eventfd` and `LinuxEventfd` are the two kinds of it.
 */
export abstract class EventfdContext extends Shown implements Disposable {
  /** @internal The context's record in the host. */
  readonly record: number;
  /** Was it created with EFD_SEMAPHORE: does a read take one unit only? */
  readonly semaphore: boolean;
  /** @internal */
  readonly memory: EventfdHost;
  /** @internal */
  readonly reference: number;
  private open = true;

  /** @internal `reference` is the handle that the caller has added for this object. */
  protected constructor(memory: EventfdHost, record: number, reference: number) {
    super();
    this.memory = memory;
    this.record = record;
    this.reference = reference;
    this.semaphore = (memory.words.load(record + E.flags) & EventfdFlag.semaphore) !== 0;
  }

  /** What another thread passes to `open` to get a handle of its own. Throws EBADF when closed. */
  get handle(): Handle<"eventfd"> {
    this.check();
    return this.memory.pools.eventfd.handle(this.record);
  }

  /**
   * A small number that no other eventfd of this host has while this one lives, for tables and messages. It stays the same
   * when this is closed; another eventfd may have it then.
   */
  get id(): number {
    return this.memory.pools.eventfd.slot(this.record);
  }

  /** Was it closed through this handle, or has this thread left the host, which closes all of its handles? */
  get closed(): boolean {
    return !this.open || this.memory.thread.left;
  }

  /** @internal Throws EBADF on a handle that was closed. */
  protected check(): void {
    this.memory.checkAttached();
    if (!this.open) {
      throw new IrqBypassError("EBADF", `eventfd ${this.id} was closed through this handle: open it again`, {
        subject: `eventfd ${this.id}`,
      });
    }
  }

  /** @internal The same before a wait, which no callback may make; one that finds what it is for at once serves others too. */
  protected checkWait(): void {
    this.memory.checkCall();
    this.check();
    this.memory.thread.serve?.();
  }

  /**
   * Adds `value` (0 to 2^64-2) to the counter and wakes readers, or fires the irqfd that consumes this eventfd;
   * writing 0 fires as well. Does not block: throws EAGAIN where the counter would overflow, EINVAL for a value
   * out of range. From any thread (eventfd_write).
   */
  abstract write(value?: number | bigint): void;

  /**
   * What a device does: adds 1, saturating at 2^64-1, and wakes or fires as `write` does. Never refuses and never
   * blocks (eventfd_signal).
   */
  abstract signal(): void;

  /** Takes the counter (one unit in semaphore mode) if it is not 0; undefined otherwise. Does not block. */
  abstract tryRead(): bigint | undefined;

  /**
   * `tryRead` that blocks until there is something to take; undefined when `timeoutMs` is over, or after {@link kick}. Throws EAGAIN
   * in a thread that may not block.
   */
  abstract read(options?: Pick<WaitOptions, "timeoutMs">): bigint | undefined;

  /** `read` without blocking the thread; rejects with the reason of `signal` when that is aborted. */
  async readAsync(options: WaitOptions = {}): Promise<bigint | undefined> {
    const { timeoutMs, signal } = readWait(options);
    this.checkWait();
    const taken = this.tryRead();
    if (taken !== undefined) return taken;
    if (this.takeKick() || timeoutMs <= 0) return undefined;
    const reader = this.reader();
    try {
      return await this.untilRead(timeoutMs, signal, () => this.tryRead(), true);
    } finally {
      reader.close();
    }
  }

  /**
   * Ends a read without a count: one `read` or `readAsync` of this eventfd that waits, through whichever handle, or else the next one
   * that finds nothing, returns undefined. So whoever stops a device wakes its thread without a doorbell that nobody rang. Several kicks
   * before that are one: of several readers who are to stop, each kicks on. What listens for a device itself (a trigger, an unmask
   * eventfd) and an epoll are not concerned. From any thread; waits for nobody. Throws EBADF when closed.
   */
  kick(): void {
    this.check();
    kickReader(this.memory.words, this.record);
  }

  /** @internal Was a read to end? By one that found nothing to take. */
  protected takeKick(): boolean {
    return takeReadKick(this.memory.words, this.record);
  }

  /**
   * @internal Takes what a standing wait needs, for as long as that goes on: ENOMEM or EMFILE is thrown here, and not when
   * somebody waits again.
   */
  reader(): EventfdReader {
    this.checkWait();
    const { memory } = this;
    this.prepareSleep();
    // Held meanwhile: this very handle may be closed.
    let reader = memory.mutex.guard(() => addReference(memory, this.record, Role.hold));
    return {
      next: (signal, take) => this.untilRead(Infinity, signal, take, false),
      close() {
        if (reader !== 0 && !memory.thread.left) dropReference(memory, reader); // who leaves the host gives all of them back
        reader = 0;
      },
    };
  }

  /** Until `take` has taken something, or a kick that is meant for it. The caller holds the eventfd. */
  private async untilRead<T>(
    timeoutMs: number,
    signal: AbortSignalLike | undefined,
    take: () => T | undefined,
    kickable: boolean,
  ): Promise<T | undefined> {
    const { words, thread } = this.memory;
    const deadline = deadlineOf(words, timeoutMs);
    for (;;) {
      const sequence = words.load(this.record + E.sequence);
      const taken = take();
      if (taken !== undefined) return taken;
      if (kickable && sequence & READ_KICKED) {
        if (this.takeKick()) return undefined;
        continue; // it was another read's
      }
      const left = leftUntil(words, deadline);
      if (left <= 0) return undefined;
      const limit = this.sleepLimit();
      const asleep = fallAsleep(words, this.record, sequence);
      if (asleep === undefined) continue;
      await thread.parkAsync(this.record + E.sequence, asleep, Math.min(left, limit), signal);
    }
  }

  /** What is in the counter now, without taking it: for tools, since it may change at once. */
  abstract get count(): bigint;

  /**
   * Closes this handle; closing it again does nothing. Throws EDEADLK in a callback, with the handle still open. When the last handle of the context closes, its irqfd is
   * deassigned (EPOLLHUP), and the context is gone as soon as no producer holds it.
   */
  close(): void {
    if (!this.open) return;
    this.memory.checkChange();
    closeHandle(this.memory, this.reference, () => {
      this.open = false;
      wakeSleepers(this.memory.words, this.record); // those who read through this handle see that it is closed
    });
  }

  /** As {@link close}. */
  [Symbol.dispose](): void {
    this.close();
  }

  /**
   * @internal What has taken the reference over keeps the handle open, and closes it: to this thread it is closed. It may be gone by now;
   * those who read through this handle were woken before.
   */
  handOver(): void {
    this.open = false;
  }

  /** @internal The count as a number, exact below 2^53: JSON has no other. */
  protected describe(): object {
    const { id, semaphore, closed } = this;
    return closed ? { id, semaphore, closed } : { id, semaphore, count: Number(this.count) };
  }

  /** @internal Takes what `sleepLimit` needs, where that is more than a record. */
  protected prepareSleep(): void {}

  /** @internal A reader is about to sleep until the counter changes. Returns for how long at most, as it may not hear of that. */
  protected sleepLimit(): number {
    return Infinity;
  }
}

/** A standing wait on an eventfd. */
export interface EventfdReader {
  /**
   * Resolves with what `take` returns once that is something: it is called at once, and whenever there may be something to read, or the
   * handle was closed. Rejects where `signal` is aborted, and with what `take` throws; a kick is left to whoever reads.
   */
  next<T>(signal: AbortSignalLike, take: () => T | undefined): Promise<T | undefined>;
  /** Ends it; nobody waits any more. Doing it again does nothing. */
  close(): void;
}

/** Throws EINVAL for what is no eventfd, EXDEV for one of another host, EBADF for one that was closed; `who` says who wants it. */
export function checkEventfd(
  memory: HostMemory,
  eventfd: unknown,
  who: string,
): asserts eventfd is EventfdContext {
  checkClass(
    eventfd,
    EventfdContext,
    () => `${who} an eventfd, not ${show(eventfd)}: make one with Eventfd.create`,
  );
  if (!memory.isSameHost(eventfd.memory)) {
    throw new IrqBypassError(
      "EXDEV",
      `${who} an eventfd of its own host, and this is one of another host: make it with the same host`,
      { subject: `eventfd ${eventfd.id}` },
    );
  }
  eventfd.handle; // EBADF
}

/** Checks a value for `write`; returns it as a bigint. */
export function checkWrite(value: unknown): bigint {
  const wide =
    typeof value === "bigint"
      ? value
      : typeof value === "number" && Number.isSafeInteger(value)
        ? BigInt(value)
        : -1n;
  if (wide < 0n || wide > MAX_COUNT) {
    throw new IrqBypassError("EINVAL", `${show(value)} cannot be written to an eventfd: write 0 to 2^64-2`);
  }
  return wide;
}
