import type { BypassHost } from "../bypass/bypass-host.js";
import { type ChangeWait, untilChange } from "../bypass/changes.js";
import { type Path, pathOfConsumer, reasonOfConsumer, reasonsOfConsumer } from "../bypass/path.js";
import { POLICIES, type Policy } from "../bypass/remapping.js";
import { IrqBypassError } from "../host/errors.js";
import type { Handle } from "../host/handle.js";
import { Consumer, Line } from "../host/layout.js";
import { checkHost } from "../host/memory.js";
import type { Mutex } from "../host/mutex.js";
import { Shown } from "../host/shown.js";
import type { Reason } from "../posting/reason.js";
import { remedyOf } from "../posting/remedy.js";
import { type Assigned, deassign } from "./assignment.js";
import { acknowledgeLine, isOwnLine } from "./line.js";
import { vmMutex } from "./vm-mutex.js";

/** An assigned irqfd: a VM's interrupt that listens to an eventfd. Any thread may use it. */
export class Irqfd extends Shown implements Disposable {
  private readonly host: BypassHost;
  private readonly vmMutex: Mutex;
  private readonly record: number;
  private readonly own: number;

  /** @internal */
  constructor(host: BypassHost, vmMutex: Mutex, { record, handle }: Assigned) {
    super();
    this.host = host;
    this.vmMutex = vmMutex;
    this.record = record;
    this.own = handle;
  }

  /**
   * An irqfd that another thread has assigned, of whichever VM: so that each vCPU's thread acknowledges the lines that the VMM has wired.
   * Throws ESTALE when it was deassigned, and for the handle of something else, EXDEV for one of another host.
   *
   * @example
   * ```ts
   * import { Eventfd, Host, Irqfd, Vm } from "irqbypass";
   *
   * const host = Host.create();
   * const irqfd = new Vm(host).irqfd(Eventfd.create(host), 3);
   * const there = Irqfd.open(Host.attach(host.handle), irqfd.handle); // in another thread
   * console.log(there.gsi, there.path); // 3 relayed
   * ```
   */
  static open(host: BypassHost, handle: Handle<"irqfd">): Irqfd {
    checkHost(host);
    const { words, mutex, pools } = host;
    return mutex.guard(() => {
      const record = pools.consumer.open(handle);
      return new Irqfd(host, vmMutex(host, words.get(record + Consumer.vm)), { record, handle });
    });
  }

  /** What another thread passes to `open`. Throws EBADF after it was deassigned, as all of these. */
  get handle(): Handle<"irqfd"> {
    return this.live(() => this.own);
  }

  /** The GSI that it was assigned for. */
  get gsi(): number {
    return this.live(() => this.host.words.get(this.record + Consumer.gsi) >>> 0);
  }

  /** What was asked for when it was assigned. */
  get policy(): Policy {
    return this.live(() => POLICIES[this.host.words.get(this.record + Consumer.policy)]!);
  }

  /** Which way its interrupts go now. Throws EBADF after it was deassigned, by whomever. */
  get path(): Path {
    return this.live(() => pathOfConsumer(this.host, this.record));
  }

  /**
   * Why they are not bypassed, the worst of {@link reasons}; undefined while they are. Where they would have to be relayed and
   * nobody does that, it says "relay-not-running": they wait until the thread that created the host is in one of the library's
   * calls, or returns to its event loop.
   */
  get reason(): Reason | undefined {
    return this.live(() => reasonOfConsumer(this.host, this.record));
  }

  /** All reasons that hold, the worst first, as {@link WORST_FIRST} has them; none while they are bypassed. */
  get reasons(): readonly Reason[] {
    return this.live(() => reasonsOfConsumer(this.host, this.record));
  }

  /**
   * The level of a line of the emulator's own interrupt controller: true from a signal on, until {@link acknowledge}. Look at it
   * when the vector was taken. Undefined where it is no such line: edge-triggered, or one of the VM's I/O APIC. Takes the host mutex.
   */
  get level(): boolean | undefined {
    return this.live(() =>
      isOwnLine(this.host.words, this.record)
        ? this.host.words.load(this.record + Consumer.line) === Line.high
        : undefined,
    );
  }

  /**
   * The guest has ended the interrupt (EOI): lets go of the line, and signals the resample eventfd, so that the device signals again
   * where it has more to say. For a line of the emulator's own interrupt controller (`apic: false` and `resample`), from any thread; of
   * several that share a vector, each is acknowledged, as each is asked in the kernel (irqfd_resampler_ack). Throws EINVAL for
   * another irqfd, whose VM does it at the guest's EOI or which is an edge; EBADF after it was deassigned; ENOMEM.
   */
  acknowledge(): void {
    const { host, record } = this;
    host.checkCall();
    if (this.level === undefined) {
      throw new IrqBypassError(
        "EINVAL",
        `the irqfd of GSI ${this.gsi} is no line of an interrupt controller of yours: assign it with a resample eventfd in a VM with apic: false`,
      );
    }
    acknowledgeLine(host, record, () => this.isLive());
  }

  /**
   * Resolves with the path as soon as the interrupt is bypassed. Rejects with the reason of `signal`, with ETIMEDOUT,
   * or with EBADF when the irqfd is deassigned meanwhile.
   */
  async bypassed(options: ChangeWait = {}): Promise<Path> {
    const { gsi } = this;
    await untilChange(
      this.host,
      () => this.reason === undefined,
      (timeoutMs) => this.stillUnbypassed(gsi, timeoutMs),
      options,
    );
    return this.path;
  }

  /**
   * The mirror image: resolves as soon as the interrupt is not bypassed, as when its producer unregisters or the switch is turned
   * off, which nobody can refuse; with the worst reason for that, which "relay-not-running" is none of.
   */
  async relayed(options: ChangeWait = {}): Promise<Reason> {
    const { gsi } = this;
    let reason: Reason | undefined;
    await untilChange(
      this.host,
      () => {
        reason = this.reasons.find((one) => one !== "relay-not-running");
        return reason !== undefined;
      },
      (timeoutMs) =>
        new IrqBypassError("ETIMEDOUT", `the irqfd of GSI ${gsi} stayed ${this.path} for ${timeoutMs} ms`),
      options,
    );
    return reason ?? "no-producer";
  }

  /**
   * Deassigns (KVM_IRQFD_FLAG_DEASSIGN). When it has returned, nothing is injected through this irqfd any more, its
   * bypass is torn down, and the eventfd is read out and free for another irqfd. Doing it again does nothing.
   */
  dispose(): void {
    this.host.checkChange();
    deassign(this.host, this.vmMutex, () => (this.isLive() ? this.record : 0));
  }

  /** As {@link dispose}. */
  [Symbol.dispose](): void {
    this.dispose();
  }

  /** What a wait for bypass that is over has to say: why it still is not, all of it. */
  private stillUnbypassed(gsi: number, timeoutMs: number): IrqBypassError {
    const reasons = this.reasons.filter((reason) => reason !== "relay-not-running"); // that keeps nothing from being bypassed
    const why = reasons.map((reason) => `${reason} (${remedyOf(reason)})`).join("; ");
    return new IrqBypassError(
      "ETIMEDOUT",
      `the irqfd of GSI ${gsi} was not bypassed within ${timeoutMs} ms: ${why}`,
      {
        subject: `GSI ${gsi}`,
        ...(reasons[0] === undefined ? {} : { reason: reasons[0] }),
      },
    );
  }

  /** @internal */
  protected describe(): object {
    const { gsi, policy, path, reason } = this;
    return { gsi, policy, path, reason };
  }

  /** Under the host mutex. */
  private isLive(): boolean {
    return this.host.pools.consumer.handle(this.record) === this.own; // another one has another, and so has none
  }

  private live<T>(read: () => T): T {
    return this.host.look(() => {
      try {
        this.host.pools.consumer.open(this.own);
      } catch (cause) {
        throw new IrqBypassError("EBADF", "this irqfd was deassigned: assign another one", { cause });
      }
      return read();
    });
  }
}
