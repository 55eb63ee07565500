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
import { IrqBypassError } from "../host/errors.js";
import type { Handle } from "../host/handle.js";
import { Descriptor, EVENT, KICKED, NMI, Vcpu as V, Vm, VmFlag } from "../host/layout.js";
import { checkHost, type HostMemory } from "../host/memory.js";
import { checkBits } from "../posting/bits.js";
import * as descriptor from "../posting/descriptor.js";
import { harvest, pending } from "../posting/fast-path.js";
import { isLevel } from "./delivery.js";
import { Idle } from "./idle.js";
import {
  accept,
  deliverable,
  endOfInterrupt,
  exceedsPriority,
  inService,
  processorPriority,
} from "./lapic.js";
import { acknowledge } from "./resample.js";
import { VcpuRef } from "./vcpu-ref.js";

/** Why a wait ended. */
export type Wake = "interrupt" | "nmi" | "kicked" | "timeout";

/** Options of {@link Vcpu.arm}. */
export interface ArmOptions {
  /** false: being armed alone does not keep the event loop alive. Default true. */
  readonly ref?: boolean;
}

const ARM: OptionNames<ArmOptions> = { ref: true };

/**
 * A vCPU in the thread that runs it: takes what is posted into its local APIC, and waits for more. One thread at a
 * time runs a vCPU; `put` gives it back, and another thread may open it then: no poster notices.
 */
export class Vcpu extends VcpuRef implements Disposable {
  private readonly bare: boolean;
  private running = true;
  /** Asynchronous waits that are under way. */
  private waits = 0;
  private readonly idle: Idle;
  /** Can one of those that are requested be delivered? undefined where that may have changed since somebody looked. */
  private requested: boolean | undefined;

  private constructor(memory: HostMemory, record: number) {
    super(memory, record);
    this.bare = (memory.words.get(memory.words.get(record + V.vm) + Vm.flags) & VmFlag.bare) !== 0;
    this.idle = new Idle(memory, this.file, () => this.whatIsThere() !== undefined);
  }

  /**
   * Takes the vCPU onto the calling thread. Throws EBUSY while it is open, in this thread or another; ESTALE when its VM is
   * gone, EXDEV for a vCPU of another host.
   *
   * @example
   * ```ts
   * import { Host, Vcpu, Vm } from "irqbypass";
   *
   * const host = Host.create();
   * const vm = new Vm(host);
   * using vcpu = Vcpu.open(host, vm.vcpu(0).handle);
   * console.log(vcpu.wait({ timeoutMs: 1 })); // "timeout": nobody has signalled
   * ```
   */
  static open(memory: HostMemory, handle: Handle<"vcpu">): Vcpu {
    checkHost(memory);
    const { words, mutex, pools, thread } = memory;
    return mutex.guard(() => {
      const record = pools.vcpu.open(handle);
      // Under the host mutex: whoever disposes the VM says so there, when nobody runs any of its vCPUs.
      if (words.get(words.get(record + V.vm) + Vm.dying) !== 0)
        throw new IrqBypassError(
          "ESTALE",
          `the VM of vCPU ${handle} is being disposed: open one of another VM`,
        );
      const runner = words.compareExchange(record + V.runner, 0, thread.record);
      if (runner !== 0) {
        const name = `vCPU ${words.get(record + V.index)} of VM ${pools.vm.slot(words.get(record + V.vm))}`;
        const where = thread.isMine(runner)
          ? "is open in this very thread: use the Vcpu that has it, or put it there first"
          : "runs on another thread: put it there first";
        throw new IrqBypassError("EBUSY", `${name} ${where}`, { subject: name });
      }
      const vcpu = new Vcpu(memory, record);
      // What a thread was taking when it died; a local APIC keeps what it has requested, a bare vCPU nothing.
      if (vcpu.bare) descriptor.unharvest(words, vcpu.file, record + V.irr);
      descriptor.load(words, vcpu.file, thread.lockId);
      return vcpu;
    });
  }

  /**
   * Is anything posted that has not been taken? One load. What has been taken and is only requested is not posted any more, and what
   * is posted may be below the processor priority: a loop asks {@link hasInterrupt}. Throws EBADF when it was put.
   */
  pending(): boolean {
    this.checkRunning();
    if (pending(this.memory, this.file)) return true;
    this.memory.thread.serveAtTimes();
    return false;
  }

  /**
   * Would {@link acknowledge} give a vector now: is one posted or requested that is above the processor priority? With
   * `apic: false`: would {@link take} give anything? It changes nothing, and is one load as long as nothing is posted, up to nine
   * where something is. Look again after `acknowledge`, `eoi` and a change of `tpr`, of which each may uncover the next one; else the
   * answer changes with a post alone. An NMI is none of these, and neither is a kick: `wait({ timeoutMs: 0 })` tells of them. The
   * running thread's own: another one sees what is posted in `inspect()`. Throws EBADF when it was put. Does not block
   * (kvm_cpu_has_interrupt).
   */
  hasInterrupt(): boolean {
    this.checkRunning();
    const has = this.hasPosted();
    if (!has) this.memory.thread.serveAtTimes();
    return has;
  }

  /**
   * Blocks until an interrupt can be delivered, the vCPU is kicked, or `timeoutMs` is over (HLT). With a local APIC
   * an interrupt below the processor priority does not end the wait; a bare vCPU's wait ends with anything posted.
   */
  wait(options: Pick<WaitOptions, "timeoutMs"> = {}): Wake {
    const { timeoutMs } = readBlockingWait(options, "waitAsync");
    this.memory.checkCall();
    this.idle.checkFree("this");
    const { words, thread } = this.memory;
    thread.serve?.(); // also where this never sleeps
    const deadline = deadlineOf(words, timeoutMs);
    for (let looked = false; ; ) {
      const ended = this.whatEndsIt();
      if (ended !== undefined) return ended;
      const left = leftUntil(words, deadline);
      if (left <= 0) return "timeout";
      if (!looked) {
        looked = true;
        // All that can change what there is to see comes with a bit of the control word, and a look at that is one load.
        if (thread.spinBeforeSleep(() => descriptor.hasNews(words, this.file))) continue;
      }
      thread.checkMayBlock(`a wait of vCPU ${words.get(this.record + V.index)}`, "waitAsync");
      const asleep = descriptor.block(words, this.file);
      if (asleep === 0) continue;
      try {
        thread.park(this.file + Descriptor.control, asleep, left);
      } finally {
        descriptor.unblock(words, this.file);
      }
    }
  }

  /** `wait` without blocking the thread; rejects with the reason of `signal` when that is aborted. */
  async waitAsync(options: WaitOptions = {}): Promise<Wake> {
    const { timeoutMs, signal } = readWait(options);
    this.memory.checkCall();
    this.idle.checkFree("this");
    const { words, thread } = this.memory;
    thread.serve?.(); // what is there at once comes without the event loop
    const deadline = deadlineOf(words, timeoutMs);
    for (;;) {
      const ended = this.whatEndsIt();
      if (ended !== undefined) return ended;
      const left = leftUntil(words, deadline);
      if (left <= 0) return "timeout";
      const asleep = descriptor.block(words, this.file);
      if (asleep === 0) continue;
      this.waits += 1;
      try {
        await thread.parkAsync(this.file + Descriptor.control, asleep, left, signal);
      } finally {
        this.waits -= 1;
        // Put meanwhile, it may be blocked on another thread by now, and not to be unblocked from here; nor beside another wait.
        if (this.running && this.waits === 0) descriptor.unblock(words, this.file);
      }
    }
  }

  /**
   * Before the thread goes idle on its event loop: calls `callback` once, from there, as soon as a wait would end with something, or
   * is false where it would end at once, and then it is never called. It takes nothing: `hasInterrupt`, or `wait({ timeoutMs: 0 })`
   * for NMIs and kicks, say what there is. Never called after {@link disarm} or {@link put} has returned; what it throws
   * is an unhandled rejection. The loop is kept alive meanwhile, unless `ref` is false. Does not block, and
   * works on a page's main thread. An idle that no wake-up ended makes nothing; each wake-up makes the wait anew.
   * Throws EBUSY while it is armed, or waits; EINVAL for what is no function; EOPNOTSUPP where there is no `Atomics.waitAsync`.
   *
   * @example
   * ```ts
   * import { Host, Vcpu, Vm } from "irqbypass";
   *
   * const host = Host.create();
   * const vcpu = Vcpu.open(host, new Vm(host).vcpu(0).handle);
   * const slice = () => {
   *   if (vcpu.wait({ timeoutMs: 0 }) === "kicked") return vcpu.put(); // somebody wants it to stop
   *   // ... run the guest until it halts ...
   *   if (!vcpu.arm(slice)) setImmediate(slice);
   * };
   * slice();
   * vcpu.kick();
   * ```
   */
  arm(callback: () => void, options: ArmOptions = {}): boolean {
    const { ref = true } = readOptions(options, ARM, "options such as { ref: false }, or none");
    checkFlag(ref, "ref");
    if (typeof callback !== "function")
      throw new IrqBypassError("EINVAL", `${show(callback)} cannot be called: pass a function to arm`);
    this.memory.checkCall();
    this.checkRunning();
    this.idle.checkFree("another arm");
    if (this.waits > 0) {
      throw new IrqBypassError("EBUSY", "this vCPU waits already: await its waitAsync, or kick it first");
    }
    return this.idle.arm(callback, ref);
  }

  /**
   * The mirror image: when it has returned, the callback is not called any more. Returns whether it was still to be: false where it was
   * called, or nothing is armed. Does not block. Throws EBADF when it was put.
   */
  disarm(): boolean {
    this.memory.checkAttached();
    this.checkRunning();
    return this.idle.disarm();
  }

  /** The vector to serve now, moved from requested to in service; undefined if none can be delivered (INTA). */
  acknowledge(): number | undefined {
    this.checkApic("acknowledge");
    const { words, thread } = this.memory;
    this.request();
    const vector = deliverable(words, this.record);
    if (vector < 0) {
      thread.serveAtTimes();
      return undefined;
    }
    accept(words, this.record, vector);
    this.requested = undefined;
    return vector;
  }

  /**
   * Ends the service of the highest vector in service (EOI). For a level-triggered one it tells the I/O APIC, which
   * signals the resample eventfds of its GSI: that takes the VM's mutex.
   */
  eoi(): void {
    this.memory.checkCall();
    this.checkApic("eoi");
    const { words } = this.memory;
    const vector = inService(words, this.record);
    if (vector < 0) return;
    // In service until the I/O APIC knows: of a thread that dies in between, the vector is requested once more.
    acknowledge(this.memory, words.get(this.record + V.vm), vector, isLevel(words, this.record, vector));
    endOfInterrupt(words, this.record, vector);
    this.requested = undefined;
  }

  /** Task priority, 0 to 255: interrupts of its class and below are held back. */
  get tpr(): number {
    this.checkRunning();
    return this.memory.words.get(this.record + V.tpr);
  }

  /** Sets it. Throws EINVAL for a value out of range. */
  set tpr(priority: number) {
    this.checkApic("tpr");
    if (!Number.isInteger(priority) || priority < 0 || priority > 255) {
      throw new IrqBypassError(
        "EINVAL",
        `a task priority is a whole number from 0 to 255, not ${show(priority)}`,
      );
    }
    this.memory.words.set(this.record + V.tpr, priority);
    this.requested = undefined;
  }

  /** PPR: the priority that an interrupt must exceed to be delivered now. */
  get ppr(): number {
    this.checkApic("ppr");
    return processorPriority(this.memory.words, this.record);
  }

  /**
   * Takes everything posted into `into` (eight 32-bit words, bit n is vector n), adding to what is there: for
   * emulators with an interrupt controller of their own. Returns whether there was anything.
   */
  take(into: Uint32Array | Int32Array): boolean {
    this.checkRunning();
    if (!this.bare) {
      throw new IrqBypassError(
        "EINVAL",
        "take is for a VM that was made with apic: false, this one has a local APIC: use acknowledge",
      );
    }
    checkBits(into, "take");
    const { words, thread } = this.memory;
    const irr = this.record + V.irr;
    const found = harvest(this.memory, this.file, irr);
    if (found === 0) thread.serveAtTimes();
    for (let left = found; left !== 0; left &= left - 1) {
      const i = 31 - Math.clz32(left & -left);
      into[i]! |= words.get(irr + i);
      words.set(irr + i, 0);
    }
    return found !== 0;
  }

  /** Gives the vCPU back without losing what is posted: another thread may open it. Doing it again does nothing. */
  put(): void {
    if (!this.running) return;
    this.running = false;
    this.idle.end();
    descriptor.suspend(this.memory.words, this.file); // a waitAsync of this very thread ends
    this.memory.words.store(this.record + V.runner, 0);
  }

  /** As {@link put}. */
  [Symbol.dispose](): void {
    this.put();
  }

  /** @internal */
  protected override describe(): object {
    this.checkRunning();
    return { ...super.describe(), apic: !this.bare, pending: this.pending() };
  }

  private ready(): boolean {
    const { words } = this.memory;
    this.checkRunning();
    if (this.bare) return this.pending();
    this.request();
    return deliverable(words, this.record) >= 0;
  }

  /** What is posted is requested from here on. */
  private request(): void {
    if (harvest(this.memory, this.file, this.record + V.irr) !== 0) this.requested = undefined;
  }

  /** What there is for a wait to end with; it is left there. */
  private whatIsThere(): Wake | undefined {
    const { words } = this.memory;
    if (this.ready()) return "interrupt";
    descriptor.takeKick(words, this.file, EVENT); // before the look: an event from here on sets it again
    if (words.load(this.record + V.events) & NMI) return "nmi";
    return words.load(this.file + Descriptor.control) & KICKED ? "kicked" : undefined;
  }

  /** The same; it is taken, but for an interrupt. */
  private whatEndsIt(): Wake | undefined {
    const { words } = this.memory;
    const there = this.whatIsThere();
    if (there === "nmi") words.and(this.record + V.events, ~NMI);
    if (there === "kicked") descriptor.takeKick(words, this.file, KICKED);
    return there;
  }

  /** Is there something for {@link acknowledge}, or {@link take}, posted or requested? */
  private hasPosted(): boolean {
    const { words } = this.memory;
    const posted = descriptor.highestPosted(words, this.file);
    if (this.bare) return posted >= 0;
    // What is requested may go with a reset of the VM; nothing is requested but by this thread.
    if (this.requested !== false) this.requested = deliverable(words, this.record) >= 0;
    return this.requested || exceedsPriority(words, this.record, posted);
  }

  private checkRunning(): void {
    if (!this.running) throw new IrqBypassError("EBADF", "this vCPU was put: open it again");
  }

  private checkApic(call: string): void {
    this.checkRunning();
    if (this.bare) {
      throw new IrqBypassError(
        "EINVAL",
        `${call} needs a local APIC, and this VM was made with apic: false: use take`,
      );
    }
  }
}
