import {
  checkFlag,
  type OptionNames,
  readBlockingWait,
  readOptions,
  show,
  type WaitOptions,
} from "../host/argument.js";
import { deadlineOf, leftUntil } from "../host/deadline.js";
import { IrqBypassError, wouldBlock } from "../host/errors.js";
import type { Handle } from "../host/handle.js";
import { Eventfd as E, EventfdFlag, READ_KICKED, Role } from "../host/layout.js";
import { checkHost, type HostMemory } from "../host/memory.js";
import { checkWrite, EventfdContext } from "./context.js";
import { addReference } from "./reference.js";
import { fallAsleep, signalContext, signalOnce } from "./signal.js";
import { takeCount } from "./take.js";

/** Options of {@link Eventfd.create}. */
export interface EventfdOptions {
  /** What the counter starts with: 0 to 2^32-1, as eventfd(2) takes it. */
  readonly initial?: number;
  /** EFD_SEMAPHORE: a read takes one unit. */
  readonly semaphore?: boolean;
}

const OPTIONS: OptionNames<EventfdOptions> = { initial: true, semaphore: true };

/**
 * An eventfd in the host's memory, with the semantics of Linux (fs/eventfd.c) and without a system call. Every
 * thread of the host can use it through a handle of its own.
 */
export class Eventfd extends EventfdContext {
  /**
   * Makes a new eventfd. Throws EINVAL for a bad initial count, ENOMEM when the host is full.
   *
   * @example
   * ```ts
   * import { Eventfd, Host } from "irqbypass";
   *
   * const eventfd = Eventfd.create(Host.create(), { initial: 2 });
   * eventfd.write(3);
   * console.log(eventfd.read()); // 5n
   * ```
   */
  static create(memory: HostMemory, options: EventfdOptions = {}): Eventfd {
    checkHost(memory);
    const { initial = 0, semaphore = false } = readOptions(
      options,
      OPTIONS,
      "options such as { initial: 1 }, or none",
    );
    checkFlag(semaphore, "semaphore");
    if (!Number.isInteger(initial) || initial < 0 || initial >= 2 ** 32) {
      throw new IrqBypassError(
        "EINVAL",
        `an eventfd starts with a count from 0 to 2^32-1, not ${show(initial)}`,
      );
    }
    const { words, mutex, pools, thread } = memory;
    return mutex.guard(() => {
      pools.reference.checkRoom();
      const record = pools.eventfd.allocate();
      words.store(record + E.flags, semaphore ? EventfdFlag.semaphore : 0);
      words.store64(record + E.counter, BigInt(initial));
      words.set(record + E.owner, thread.record);
      return new Eventfd(memory, record, addReference(memory, record, Role.handle));
    });
  }

  /**
   * A handle in this thread to an eventfd made in another. Throws ESTALE when it is gone or the handle is of no eventfd,
   * EXDEV for one of another host, EINVAL for a Linux eventfd.
   *
   * @example
   * ```ts
   * import { Eventfd, Host } from "irqbypass";
   *
   * const host = Host.create();
   * const eventfd = Eventfd.create(host);
   * const again = Eventfd.open(Host.attach(host.handle), eventfd.handle); // in another thread
   * again.write();
   * console.log(eventfd.tryRead()); // 1n
   * ```
   */
  static open(memory: HostMemory, handle: Handle<"eventfd">): Eventfd {
    checkHost(memory);
    const { words, mutex, pools } = memory;
    return mutex.guard(() => {
      const record = pools.eventfd.open(handle);
      if (words.load(record + E.flags) & EventfdFlag.linux) {
        throw new IrqBypassError(
          "EINVAL",
          `eventfd ${handle} is a Linux eventfd: open it with LinuxEventfd.open`,
        );
      }
      if (words.get(record + E.handles) === 0)
        throw new IrqBypassError("ESTALE", `the last handle of eventfd ${handle} was closed`);
      return new Eventfd(memory, record, addReference(memory, record, Role.handle));
    });
  }

  write(value: number | bigint = 1): void {
    this.check();
    const { memory, record } = this;
    const fits =
      value === 1
        ? signalOnce(memory, record, false)
        : signalContext(memory, record, checkWrite(value), false);
    if (!fits) {
      throw new IrqBypassError("EAGAIN", `eventfd ${this.id} is full: read it first`, {
        subject: `eventfd ${this.id}`,
      });
    }
  }

  signal(): void {
    this.check();
    signalOnce(this.memory, this.record, true);
  }

  tryRead(): bigint | undefined {
    this.check();
    const taken = this.take();
    if (taken === undefined) this.memory.thread.serveAtTimes();
    return taken;
  }

  private take(): bigint | undefined {
    return takeCount(this.memory.words, this.record, this.semaphore);
  }

  read(options?: Pick<WaitOptions, "timeoutMs">): bigint | undefined {
    const timeoutMs = readBlockingWait(options, "readAsync");
    this.checkWait();
    const { words, thread } = this.memory;
    const deadline = deadlineOf(words, timeoutMs);
    for (let looked = false; ; ) {
      const sequence = words.load(this.record + E.sequence);
      const taken = this.take();
      if (taken !== undefined) return taken;
      if (sequence & READ_KICKED) {
        if (this.takeKick()) return undefined;
        continue; // it was another read's
      }
      const left = leftUntil(words, deadline);
      if (left <= 0) return undefined;
      if (!looked) {
        looked = true;
        if (thread.spinBeforeSleep(this.record + E.sequence, sequence)) continue;
      }
      if (!thread.mayBlock) throw wouldBlock(`a read of eventfd ${this.id}, which is at 0,`, "readAsync");
      const asleep = fallAsleep(words, this.record, sequence);
      if (asleep !== undefined) thread.park(this.record + E.sequence, asleep, left);
    }
  }

  get count(): bigint {
    this.check();
    return BigInt.asUintN(64, this.memory.words.load64(this.record + E.counter));
  }
}
