import {
  checkFlag,
  type OptionNames,
  readBlockingWait,
  readOptions,
  readWait,
  show,
  type WaitOptions,
} from "../host/argument.js";
import { deadlineOf, leftUntil } from "../host/deadline.js";
import { IrqBypassError, wouldBlock } from "../host/errors.js";
import { Descriptor, Vcpu } from "../host/layout.js";
import type { HostMemory } from "../host/memory.js";
import * as descriptor from "../posting/descriptor.js";
import { Idle } from "./idle.js";

/** Why a wait ended: "init" and "start-up" where another vCPU has sent that, as a guest does to start its processors. */
export type Wake = "interrupt" | "nmi" | "init" | "start-up" | "kicked" | "timeout";

/** Options of {@link Vcpu.arm}. */
export interface ArmOptions {
  /** false: being armed alone does not keep the event loop alive. Default true. */
  readonly ref?: boolean;
}

const ARM: OptionNames<ArmOptions> = { ref: true };

/** What a wait looks for. */
export interface Awaited {
  /** Throws EBADF where the vCPU was put, as the others do. */
  check(): void;
  /** What there is for it to end with; it is left there. */
  there(): Wake | undefined;
  /** The same; it is taken, but for an interrupt. */
  take(): Wake | undefined;
}

/** The waits of a vCPU, in the thread that runs it: one that blocks, asynchronous ones, and the one of an event loop that is idle. */
export class VcpuWaits {
  /** Asynchronous ones that are under way. */
  private waits = 0;
  private ended = false;
  private readonly file: number;
  private readonly idle: Idle;

  constructor(
    private readonly memory: HostMemory,
    private readonly record: number,
    private readonly awaited: Awaited,
  ) {
    this.file = record + Vcpu.descriptor;
    this.idle = new Idle(memory, this.file, () => awaited.there() !== undefined);
  }

  /** As {@link Vcpu.wait}. */
  wait(options: Pick<WaitOptions, "timeoutMs"> | undefined): Wake {
    const timeoutMs = readBlockingWait(options, "waitAsync");
    this.memory.checkCall();
    this.idle.checkFree("this");
    const { file } = this;
    const { words, thread } = this.memory;
    thread.serve?.(); // also where this never sleeps
    const deadline = deadlineOf(words, timeoutMs);
    for (let looked = false; ; ) {
      const ended = this.awaited.take();
      if (ended !== undefined) return ended;
      const left = leftUntil(words, deadline);
      if (left <= 0) return "timeout";
      if (!looked) {
        looked = true;
        // All that can change what there is to see comes with a bit of the control word, and a look at that is one load.
        const seen = words.load(file + Descriptor.control);
        if (descriptor.isNews(seen) || thread.spinBeforeSleep(file + Descriptor.control, seen)) continue;
      }
      if (!thread.mayBlock)
        throw wouldBlock(`a wait of vCPU ${words.get(this.record + Vcpu.index)}`, "waitAsync");
      const stands = descriptor.isBlocked(words, file); // an asynchronous wait, which goes on after this
      const asleep = descriptor.block(words, file);
      if (asleep === 0) continue;
      try {
        thread.park(file + Descriptor.control, asleep, left);
      } finally {
        if (!stands) descriptor.unblock(words, file);
      }
    }
  }

  /** As {@link Vcpu.waitAsync}. */
  async waitAsync(options: WaitOptions): Promise<Wake> {
    const { timeoutMs, signal } = readWait(options);
    this.memory.checkCall();
    this.idle.checkFree("this");
    const { file } = this;
    const { words, thread } = this.memory;
    thread.serve?.(); // what is there at once comes without the event loop
    const deadline = deadlineOf(words, timeoutMs);
    for (;;) {
      const ended = this.awaited.take();
      if (ended !== undefined) return ended;
      const left = leftUntil(words, deadline);
      if (left <= 0) return "timeout";
      const asleep = descriptor.block(words, file);
      if (asleep === 0) continue;
      this.waits += 1;
      try {
        await thread.parkAsync(file + Descriptor.control, asleep, left, signal);
      } finally {
        this.waits -= 1;
        // Put meanwhile, it may be blocked on another thread by now, and not to be unblocked from here; nor beside another wait.
        if (!this.ended && this.waits === 0) descriptor.unblock(words, file);
      }
    }
  }

  /** As {@link Vcpu.arm}. */
  arm(callback: () => void, options: ArmOptions): boolean {
    const { ref = true } = readOptions(options, ARM, "options such as { ref: false }, or none");
    checkFlag(ref, "ref");
    if (typeof callback !== "function")
      throw new IrqBypassError("EINVAL", `${show(callback)} cannot be called: pass a function to arm`);
    this.memory.checkCall();
    this.awaited.check();
    this.idle.checkFree("another arm");
    if (this.waits > 0) {
      throw new IrqBypassError("EBUSY", "this vCPU waits already: await its waitAsync, or kick it first");
    }
    return this.idle.arm(callback, ref);
  }

  /** As {@link Vcpu.disarm}. */
  disarm(): boolean {
    return this.idle.disarm();
  }

  /** What a wait looks for may be there by something that this very thread has done: those that stand look again. */
  lookAgain(): void {
    if (this.waits > 0 || this.idle.isArmed) this.memory.words.notify(this.file + Descriptor.control);
  }

  /** The vCPU leaves this thread. */
  end(): void {
    this.ended = true;
    this.idle.end();
  }
}
