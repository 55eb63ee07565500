import {
  type AbortSignalLike,
  checkFlag,
  checkNames,
  type OptionNames,
  readBlockingWait,
  readOptions,
  readWait,
  show,
  unreadable,
  type WaitOptions,
} from "../host/argument.js";
import { deadlineOf, leftUntil } from "../host/deadline.js";
import { IrqBypassError, wouldBlock } from "../host/errors.js";
import type { Handle } from "../host/handle.js";
import { Epoll as E, EpollControl, Role } from "../host/layout.js";
import { checkHost } from "../host/memory.js";
import { Shown } from "../host/shown.js";
import { closeHandle } from "./close.js";
import { checkEventfd, type EventfdContext } from "./context.js";
import { takeEvents } from "./events.js";
import type { EventfdHost } from "./kind.js";
import { abandonWait, beginWait, call, callAgain, endWait, fallAsleep, takeKick, wakeUp } from "./ready.js";
import { addReference } from "./reference.js";
import { addWatch, removeWatch } from "./watch.js";

/** How many events a wait returns where it is not told otherwise. */
const MAX_EVENTS = 64;

/** Options of {@link Epoll.add}. */
export interface EpollAdd {
  /** What a wait reports when the eventfd is ready: a whole number from 0 to 2^53-1. Default: the eventfd's `id`. */
  readonly data?: number;
  /** EPOLLET: report each write once, instead of as long as there is something to read. Default false. */
  readonly edge?: boolean;
}

/** Options of {@link Epoll.tryWait}. */
export interface EpollTake {
  /** How many events to return at most: a whole number from 1 on. Default 64. */
  readonly maxEvents?: number;
}

/** Options of {@link Epoll.waitAsync}; {@link Epoll.wait} takes no `signal`. */
export interface EpollWait extends WaitOptions, EpollTake {}

const ADD: OptionNames<EpollAdd> = { data: true, edge: true };
const TAKE: OptionNames<EpollTake> = { maxEvents: true };
const TAKE_TEXT = "options such as { maxEvents: 8 }, or none";
const WAIT: OptionNames<EpollWait> = { timeoutMs: true, signal: true, maxEvents: true };

/**
 * One sleep for many eventfds, of both kinds (fs/eventpoll.c). Threads that open it have a handle each; any of them adds and removes, and
 * one at a time waits. An eventfd is *ready* while its counter is not 0: a wait reports it as long as it is so (level), or, with
 * `edge`, once for each write, also where nobody has read in between; several writes before a wait are one event. It counts as
 * a write when an eventfd is ready as it is added. An eventfd that an irqfd consumes is never ready: the interrupt was the event.
 *
 * The last close of an eventfd is silent, as in Linux: whoever waits is not told, and goes on waiting.
 */
export class Epoll extends Shown implements Disposable {
  private readonly memory: EventfdHost;
  private readonly record: number;
  private readonly reference: number;
  private open = true;
  /** A `waitAsync` through this handle is under way. */
  private waiting = false;
  /** Whether the next wait asks the kernel first: of more than fit, neither half is to come last each time. */
  private kernelFirst = false;

  private constructor(memory: EventfdHost, record: number, reference: number) {
    super();
    this.memory = memory;
    this.record = record;
    this.reference = reference;
  }

  /**
   * Makes a new one, which watches nothing (epoll_create1). Throws ENOMEM when the host is full.
   *
   * @example
   * ```ts
   * import { Epoll, Eventfd, Host } from "irqbypass";
   *
   * const host = Host.create();
   * const queues = [Eventfd.create(host), Eventfd.create(host)];
   * using epoll = Epoll.create(host);
   * queues.forEach((queue, data) => epoll.add(queue, { data }));
   * queues[1].write();
   * for (const data of epoll.wait()) console.log(data, queues[data].read()); // 1 1n
   * ```
   */
  static create(memory: EventfdHost): Epoll {
    checkHost(memory);
    const { mutex, pools } = memory;
    return mutex.guard(() => {
      pools.reference.checkRoom();
      const record = pools.epoll.allocate();
      return new Epoll(memory, record, addReference(memory, record, Role.handle));
    });
  }

  /**
   * A handle in this thread to one made in another. Throws ESTALE when it is gone, EXDEV for one of another host.
   *
   * @example
   * ```ts
   * import { Epoll, Host } from "irqbypass";
   *
   * const host = Host.create();
   * using epoll = Epoll.create(host);
   * using again = Epoll.open(Host.attach(host.handle), epoll.handle); // in another thread
   * epoll.kick();
   * console.log(again.wait()); // []: kicked
   * ```
   */
  static open(memory: EventfdHost, handle: Handle<"epoll">): Epoll {
    checkHost(memory);
    const { words, mutex, pools } = memory;
    return mutex.guard(() => {
      const record = pools.epoll.open(handle);
      if (words.get(record + E.handles) === 0)
        throw new IrqBypassError("ESTALE", `the last handle of epoll ${handle} was closed`);
      return new Epoll(memory, record, addReference(memory, record, Role.handle));
    });
  }

  /** What another thread passes to `open`. Throws EBADF when closed, as all of these. */
  get handle(): Handle<"epoll"> {
    this.check();
    return this.memory.pools.epoll.handle(this.record);
  }

  /** A small number that no other epoll of this host has while this one lives. */
  get id(): number {
    return this.memory.pools.epoll.slot(this.record);
  }

  /** Was it closed through this handle, or has this thread left the host, which closes all of its handles? */
  get closed(): boolean {
    return !this.open || this.memory.thread.left;
  }

  /**
   * Watches an eventfd (EPOLL_CTL_ADD); a wait that is under way hears of it too. It stays watched until it is removed, or its last
   * handle is closed. An eventfd may be in many epolls. Throws EEXIST where it is watched already, EXDEV for one of another
   * host, ENOMEM (`capacity.watch`), and for the first eventfd of Linux what epoll_create1 says. O(epolls that watch it).
   */
  add(eventfd: EventfdContext, options: EpollAdd = {}): void {
    const how = readOptions(options, ADD, "options such as { data: 3 }, or none");
    this.checkChange(eventfd);
    const { data = eventfd.id, edge = false } = how;
    checkFlag(edge, "edge");
    if (!Number.isSafeInteger(data) || data < 0) {
      throw new IrqBypassError("EINVAL", `data is ${show(data)}: give a whole number from 0 to 2^53-1`);
    }
    addWatch(this.memory, this.record, eventfd.record, data, edge);
  }

  /**
   * The mirror image (EPOLL_CTL_DEL): no wait that begins when this has returned reports the eventfd. Waits for signals and takes
   * that are under way, not for a waiter that sleeps. Throws ENOENT where it is not watched.
   */
  remove(eventfd: EventfdContext): void {
    this.checkChange(eventfd);
    removeWatch(this.memory, this.record, eventfd.record);
  }

  /**
   * The `data` of eventfds that are ready, at most `maxEvents`; empty where none is. Of more than fit, the next call begins with
   * those that did not. Does not block. Throws EBUSY while another one waits.
   */
  tryWait(options: EpollTake = {}): number[] {
    checkNames(options, TAKE, TAKE_TEXT);
    const most = maxEventsOf(options);
    this.checkWait();
    this.beginWait();
    try {
      return this.take(most);
    } finally {
      this.endWait();
    }
  }

  /**
   * The same, but blocks until one is ready. Empty when `timeoutMs` is over, or after {@link kick}. Throws EBUSY
   * while another one waits, EAGAIN in a thread that may not block.
   */
  wait(options: Omit<EpollWait, "signal"> = {}): number[] {
    const timeoutMs = readBlockingWait(options, "waitAsync", WAIT);
    const most = maxEventsOf(options);
    this.checkWait();
    const { words, thread } = this.memory;
    const deadline = deadlineOf(words, timeoutMs);
    this.beginWait();
    try {
      for (let looked = false; ; ) {
        const found = this.take(most);
        if (found.length > 0 || takeKick(words, this.record)) return found;
        const left = leftUntil(words, deadline);
        if (left <= 0) return found;
        if (!looked) {
          looked = true;
          if (thread.spinBeforeSleep(this.record + E.control, 0)) continue;
        }
        if (!thread.mayBlock)
          throw wouldBlock(`a wait of epoll ${this.id}, of which nothing is ready,`, "waitAsync");
        const limit = this.sleepLimit();
        if (!fallAsleep(words, this.record)) continue;
        try {
          thread.park(this.record + E.control, EpollControl.asleep, Math.min(left, limit));
        } finally {
          wakeUp(words, this.record);
        }
      }
    } finally {
      this.endWait();
    }
  }

  /** `wait` without blocking the thread; rejects with the reason of `signal` when that is aborted, and with EBADF when this is closed. */
  async waitAsync(options: EpollWait = {}): Promise<number[]> {
    const { timeoutMs, signal } = readWait(options, WAIT);
    const most = maxEventsOf(options);
    this.checkWait();
    this.beginWait();
    this.waiting = true;
    try {
      return await this.untilReady(most, timeoutMs, signal);
    } finally {
      this.endAsync();
    }
  }

  /** Ends a wait, the present one or the next: it returns what is ready, which may be nothing. From any thread; waits for nobody. */
  kick(): void {
    this.check();
    call(this.memory.words, this.record, EpollControl.kicked);
  }

  /**
   * Closes this handle; closing it again does nothing. A `waitAsync` through it rejects with EBADF. With the last handle the
   * epoll ends, and watches nothing any more. Throws EDEADLK in a callback, with the handle still open.
   */
  close(): void {
    if (!this.open) return;
    this.memory.checkChange();
    closeHandle(this.memory, this.reference, () => {
      this.endAsync();
      this.open = false;
      callAgain(this.memory.words, this.record); // who waits through this handle sees that it is closed
    });
  }

  /** As {@link close}. */
  [Symbol.dispose](): void {
    this.close();
  }

  /** @internal */
  protected describe(): object {
    const { id, closed, memory, record } = this;
    return closed ? { id, closed } : { id, watches: memory.look(() => memory.words.get(record + E.holds)) };
  }

  private async untilReady(
    most: number,
    timeoutMs: number,
    signal: AbortSignalLike | undefined,
  ): Promise<number[]> {
    const { words, thread } = this.memory;
    const deadline = deadlineOf(words, timeoutMs);
    for (;;) {
      const found = this.take(most);
      if (found.length > 0 || takeKick(words, this.record)) return found;
      const left = leftUntil(words, deadline);
      if (left <= 0) return found;
      const limit = this.sleepLimit();
      if (!fallAsleep(words, this.record)) continue;
      await thread.parkAsync(this.record + E.control, EpollControl.asleep, Math.min(left, limit), signal);
      this.check(); // closed meanwhile, the record may be another's
      wakeUp(words, this.record);
    }
  }

  private take(most: number): number[] {
    this.kernelFirst = !this.kernelFirst;
    return takeEvents(this.memory, this.record, most, this.kernelFirst);
  }

  /** For how long a waiter may sleep at most, since it may not hear of what the kernel's eventfds do. */
  private sleepLimit(): number {
    const { memory, record } = this;
    if (memory.words.load(record + E.fd) === 0) return Infinity;
    return Math.min(
      Infinity,
      ...memory.kinds.map(({ watching }) => watching?.arm(memory, record) ?? Infinity),
    );
  }

  private beginWait(): void {
    const { words, thread } = this.memory;
    const waiter = beginWait(words, this.record, thread.record);
    if (waiter === 0) return;
    const where = thread.isMine(waiter) ? "in this very thread" : "in another thread";
    throw new IrqBypassError(
      "EBUSY",
      `somebody waits for epoll ${this.id} ${where}: one waits at a time, so kick it, or make an epoll for each`,
      { subject: `epoll ${this.id}` },
    );
  }

  private endWait(): void {
    endWait(this.memory.words, this.record);
  }

  /** The end of a `waitAsync`, by itself or by a close, after which nothing is touched any more. */
  private endAsync(): void {
    if (!this.waiting) return;
    this.waiting = false;
    const { memory, record } = this;
    if (!memory.thread.left) abandonWait(memory.words, record, memory.thread.record);
  }

  /** Throws EBADF on a handle that was closed. */
  private check(): void {
    this.memory.checkAttached();
    if (!this.open) {
      throw new IrqBypassError("EBADF", `epoll ${this.id} was closed through this handle: open it again`, {
        subject: `epoll ${this.id}`,
      });
    }
  }

  private checkChange(eventfd: EventfdContext): void {
    this.memory.checkChange();
    this.check();
    checkEventfd(this.memory, eventfd, "an epoll watches");
  }

  /** Before a wait, which no callback may make; one that finds what it is for at once serves others too. */
  private checkWait(): void {
    this.memory.checkCall();
    this.check();
    this.memory.thread.serve?.();
  }
}

function maxEventsOf(options: EpollTake): number {
  let maxEvents: number;
  try {
    ({ maxEvents = MAX_EVENTS } = options);
  } catch (cause) {
    throw unreadable(TAKE_TEXT, cause);
  }
  if (!Number.isSafeInteger(maxEvents) || maxEvents < 1) {
    throw new IrqBypassError("EINVAL", `maxEvents is ${show(maxEvents)}: give a whole number from 1 on`);
  }
  return maxEvents;
}
