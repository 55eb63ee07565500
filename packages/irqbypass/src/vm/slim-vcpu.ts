import type { BypassHost } from "../bypass/bypass-host.js";
import { show, type WaitOptions } from "../host/argument.js";
import { IrqBypassError } from "../host/errors.js";
import type { Handle } from "../host/handle.js";
import { Descriptor, KICKED, ON, Vcpu as V, Vm, VmFlag } from "../host/layout.js";
import { checkHost, type Pics } from "../host/memory.js";
import { checkBits } from "../posting/bits.js";
import * as descriptor from "../posting/descriptor.js";
import { harvest, pending } from "../posting/fast-path.js";
import { isLevel } from "./apic/accept.js";
import { type RunState, VcpuEvents } from "./apic/events.js";
import { takesExtInt } from "./apic/mode.js";
import {
  accept,
  deliverable,
  endOfInterrupt,
  exceedsPriority,
  inService,
  processorPriority,
} from "./lapic.js";
import { checkPics, hasPics } from "./pic-lines.js";
import { acknowledge } from "./resample.js";
import { VcpuRef } from "./vcpu-ref.js";
import { lifeOf, type VmLife } from "./vm-mutex.js";
import { type ArmOptions, VcpuWaits, type Wake } from "./waits.js";

/**
 * A vCPU for a page that counts its bytes: without what its guest programs of its local APIC, and without IPIs. That of `irqbypass` is one
 * with them. A vCPU in the thread that runs it: takes what is posted into its local APIC, and waits for more. One thread at a
 * time runs a vCPU; `put` gives it back, and another thread may open it then: no poster notices.
 */
export class SlimVcpu extends VcpuRef implements Disposable {
  private readonly bare: boolean;
  private running = true;
  private readonly waits: VcpuWaits;
  /** @internal */
  protected readonly vm: VmLife;
  private readonly events: VcpuEvents;
  /** Where its VM has a pair of 8259s. */
  private readonly pics: Pics | undefined;
  /** Can one of those that are requested be delivered? undefined where that may have changed since somebody looked. */
  private requested: boolean | undefined;

  /** @internal */
  protected constructor(host: BypassHost, record: number) {
    super(host, record);
    this.vm = lifeOf(host, host.words.get(record + V.vm));
    this.bare = (host.words.get(this.vm.record + Vm.flags) & VmFlag.bare) !== 0;
    if (hasPics(host.words, this.vm.record)) this.pics = host.pics;
    this.waits = new VcpuWaits(host, record, {
      check: () => this.checkRunning(),
      there: () => this.whatIsThere(),
      take: () => this.whatEndsIt(),
    });
    this.events = new VcpuEvents(host, this.vm, record, () => this.changed());
  }

  /**
   * Takes the vCPU onto the calling thread. Throws EBUSY while it is open, in this thread or another; ESTALE when its VM is
   * gone, EXDEV for a vCPU of another host.
   *
   * @example
   * ```ts
   * import { Host, Vcpu, Vm } from "irqbypass/slim";
   *
   * const host = Host.create();
   * const vm = new Vm(host);
   * using vcpu = Vcpu.open(host, vm.vcpu(0).handle);
   * console.log(vcpu.wait({ timeoutMs: 1 })); // "timeout": nobody has signalled
   * ```
   */
  static open(host: BypassHost, handle: Handle<"vcpu">): SlimVcpu {
    return SlimVcpu.take(host, handle, (record) => new SlimVcpu(host, record));
  }

  /** @internal As {@link open}, of what `make` makes of the record. */
  protected static take<Made extends SlimVcpu>(
    host: BypassHost,
    handle: Handle<"vcpu">,
    make: (record: number) => Made,
  ): Made {
    checkHost(host);
    const { words, mutex, pools, thread } = host;
    return mutex.guard(() => {
      const record = pools.vcpu.open(handle);
      // Under the host mutex: whoever disposes the VM says so there, when nobody runs any of its vCPUs.
      const vm = words.get(record + V.vm);
      if (words.get(vm + Vm.dying) !== 0)
        throw new IrqBypassError(
          "ESTALE",
          `the VM of vCPU ${handle} is being disposed: open one of another VM`,
        );
      checkPics(host, words.get(vm + Vm.flags), `VM ${pools.vm.slot(vm)}`);
      const runner = words.compareExchange(record + V.runner, 0, thread.record);
      if (runner !== 0) {
        const name = `vCPU ${words.get(record + V.index)} of VM ${pools.vm.slot(vm)}`;
        const where = thread.isMine(runner)
          ? "is open in this very thread: use the Vcpu that has it, or put it there first"
          : "runs on another thread: put it there first";
        throw new IrqBypassError("EBUSY", `${name} ${where}`, { subject: name });
      }
      const vcpu = make(record);
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
  wait(options?: Pick<WaitOptions, "timeoutMs">): Wake {
    return this.waits.wait(options);
  }

  /** `wait` without blocking the thread; rejects with the reason of `signal` when that is aborted. */
  async waitAsync(options: WaitOptions = {}): Promise<Wake> {
    return this.waits.waitAsync(options);
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
    return this.waits.arm(callback, options);
  }

  /**
   * The mirror image: when it has returned, the callback is not called any more. Returns whether it was still to be: false where it was
   * called, or nothing is armed. Does not block. Throws EBADF when it was put.
   */
  disarm(): boolean {
    this.memory.checkAttached();
    this.checkRunning();
    return this.waits.disarm();
  }

  /**
   * The vector to serve now, moved from requested to in service; undefined if none can be delivered (INTA). What a pair of 8259s asks for
   * comes first, where LINT0 takes that; its end of interrupt is a write to a port of `vm.pic` (kvm_cpu_get_interrupt).
   */
  acknowledge(): number | undefined {
    this.checkApic("acknowledge");
    const { words, thread } = this.memory;
    if (this.hasExtInt()) {
      const vector = this.pics?.acknowledge(this.memory, this.vm.record, this.record);
      if (vector !== undefined) return vector;
    }
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
    const level = isLevel(words, this.record, vector);
    acknowledge(this.memory, this.vm.record, this.record, vector, level);
    endOfInterrupt(words, this.record, vector);
    this.changed();
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
    this.changed();
  }

  /**
   * Does it execute its guest (KVM_GET_MP_STATE)? All do in a new VM. INIT makes the boot processor, that with APIC id 0, start anew, and any other one wait
   * for a start-up, of which `wait` tells each; both are applied by `wait` and by this. While it does not, no interrupt ends its
   * wait; with `apic: false` it does, since there the emulator decides what comes of it.
   */
  get state(): RunState {
    this.memory.checkCall();
    this.checkRunning();
    return this.events.state;
  }

  /** Sets it (KVM_SET_MP_STATE): "uninitialized" is how a processor is that nobody has started. Throws EINVAL for what is none. */
  set state(state: RunState) {
    this.memory.checkCall();
    this.checkRunning();
    this.events.state = state;
    this.changed();
  }

  /** The vector of the last start-up, with which its guest begins at address vector * 4096; 0 where there was none. */
  get startUpVector(): number {
    this.checkRunning();
    return this.events.startUpVector;
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
    this.waits.end();
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

  /** Do the 8259s ask for an acknowledge that this one makes? It is nobody's business in which class its vector is. */
  private hasExtInt(): boolean {
    const { pics, memory } = this;
    if (pics === undefined || !takesExtInt(memory.words, this.record)) return false;
    return pics.ask(memory, this.vm.record);
  }

  /** Is there an interrupt that ends a wait? It stays where it was posted, and ON with it: compiled code polls that word alone. */
  private ready(): boolean {
    const { words } = this.memory;
    // By the words themselves: one load, where a call of compiled code in a wait that has just woken would cost more than it saves.
    if (this.bare) return descriptor.pending(words, this.file);
    const { runs } = this.events;
    if (runs && this.hasPosted()) return true;
    this.request(); // what is held back: nobody goes to sleep while ON is set, which tells of it once
    if (!runs || deliverable(words, this.record) < 0) return false;
    words.or(this.file + Descriptor.control, ON); // one more was posted since that look: the word says so as before
    return true;
  }

  /** @internal What can be delivered may be another one now. */
  protected changed(): void {
    this.requested = undefined;
    this.waits.lookAgain();
  }

  /** What is posted is requested from here on. */
  private request(): void {
    if (harvest(this.memory, this.file, this.record + V.irr) !== 0) this.requested = undefined;
  }

  /** What there is for a wait to end with; it is left there. An event comes before an interrupt, whatever its vector. */
  private whatIsThere(): Wake | undefined {
    this.checkRunning();
    const event = this.events.next();
    if (event !== undefined) return event;
    if (this.ready()) return "interrupt";
    return this.memory.words.load(this.file + Descriptor.control) & KICKED ? "kicked" : undefined;
  }

  /** The same; it is taken, but for an interrupt. */
  private whatEndsIt(): Wake | undefined {
    const there = this.whatIsThere();
    if (there === "kicked") descriptor.takeKick(this.memory.words, this.file, KICKED);
    else if (there === "nmi" || there === "init" || there === "start-up") this.events.take(there);
    return there;
  }

  /** Is there something for {@link acknowledge}, or {@link take}, posted or requested? */
  private hasPosted(): boolean {
    const { words } = this.memory;
    const posted = descriptor.highestPosted(words, this.file);
    if (this.bare) return posted >= 0;
    if (this.hasExtInt()) return true;
    // What is requested may go with a reset of the VM; nothing is requested but by this thread.
    if (this.requested !== false) this.requested = deliverable(words, this.record) >= 0;
    return this.requested || exceedsPriority(words, this.record, posted);
  }

  private checkRunning(): void {
    if (!this.running) throw new IrqBypassError("EBADF", "this vCPU was put: open it again");
  }

  /** @internal */
  protected checkApic(call: string): void {
    this.checkRunning();
    if (this.bare) {
      throw new IrqBypassError(
        "EINVAL",
        `${call} needs a local APIC, and this VM was made with apic: false: use take`,
      );
    }
  }
}
