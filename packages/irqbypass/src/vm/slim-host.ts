import type { BypassHost } from "../bypass/bypass-host.js";
import { announceChange } from "../bypass/changes.js";
import type { Kind } from "../bypass/kind.js";
import { Manager } from "../bypass/manager.js";
import { refreshAll, requires } from "../bypass/remapping.js";
import { checkFlag, show, type WaitOptions } from "../host/argument.js";
import { type Capacity, checkCapacity } from "../host/capacity.js";
import type { Compiled } from "../host/compiled.js";
import { IrqBypassError } from "../host/errors.js";
import { publishHeader } from "../host/header.js";
import { Consumer, Header, POOLS } from "../host/layout.js";
import { refuseLoading, untilNobodyLoads, untilNobodyLoadsAsync } from "../host/loading.js";
import { HostMemory, type MemoryOptions } from "../host/memory.js";
import type { WatchableWorker } from "../host/platform.js";
import { type HostHandle, reserve } from "../host/reserve.js";
import type { WasmMemory } from "../host/wasm.js";
import { whenFree } from "../host/when-free.js";
import type { DeathWatch } from "./death-watch.js";
import {
  type AttachOptions,
  type HostOptions,
  readAttachOptions,
  readHandle,
  readHostOptions,
} from "./host-options.js";
import { type Interrupt, interruptsOf } from "./interrupt.js";
import { irqfdKind } from "./irqfd-kind.js";
import { closeReferences, disown } from "./leaving.js";
import { buildDefaultTable } from "./routing.js";
import { Supervision } from "./supervision.js";
import { unfinishedOf } from "./unfinished.js";

/**
 * A host for a page that counts its bytes: it has no `audit()` and no `threads()`, and what repairs it after a dead thread, and the
 * WebAssembly of the fast path, it loads when it has been made. That comes when the thread returns to its event loop, of which
 * `provable()` tells; until then this thread waits for others to repair, and signals by TypeScript. That of `irqbypass` is one that has it
 * all from the start. One shared memory with everything in it, as the calling thread sees it. `Host.create` makes one, and `Host.attach` joins it
 * in another thread. One thread has one of these for a host.
 */
export class SlimHost extends HostMemory implements BypassHost, Disposable {
  /** @internal */
  override readonly kinds: readonly Kind[];
  /** @internal */
  readonly manager: Manager;
  /** In the thread that created the host, until it leaves. */
  private supervision: Supervision | undefined;
  /** Where the platform's locks prove deaths, from when this thread can repair on. */
  private deaths: DeathWatch | undefined;
  /** What it loads late, while and after it does. */
  private late: Promise<void> | undefined;
  private disposed = false;
  private readonly forgetExit: () => void;

  /** @internal Of a new host where a capacity is given. */
  protected constructor(
    handle: HostHandle,
    options: MemoryOptions,
    kinds: readonly Kind[],
    capacity: Capacity | undefined,
  ) {
    super(handle, options, kinds, capacity);
    this.kinds = kinds;
    this.manager = new Manager(this, kinds);
    this.forgetExit = this.platform.onExit((well) => this.threadEnds(well));
    this.complete(options, capacity !== undefined || !this.platform.mayBlock);
    if (capacity === undefined) return;
    buildDefaultTable(this);
    publishHeader(this.words);
    this.supervision = new Supervision(this);
  }

  /**
   * A new host in memory of its own, or in the caller's at `byteOffset`. Throws EINVAL, ENOMEM, EEXIST (there is a
   * host at this place), and EOPNOTSUPP in a page without shared memory, naming the headers that it lacks.
   *
   * @example
   * ```ts
   * import { Host } from "irqbypass/slim";
   *
   * const host = Host.create({ size: "small", capacity: { vm: 4 } });
   * console.log(host.platform.name, host.interrupts().length);
   * host.dispose();
   * ```
   */
  static create(options: HostOptions = {}): SlimHost {
    return new SlimHost(...createdWith(options));
  }

  /**
   * Joins a host in another thread. Throws EINVAL for what is no host, for a damaged header, for another layout version, and
   * for a thread that lacks one of the host's kinds. What is damaged behind the header, the audit finds.
   *
   * @example
   * ```ts
   * import { Host } from "irqbypass/slim";
   *
   * const host = Host.create();
   * const { handle } = host; // in a message, or as workerData
   * const there = Host.attach(handle); // in the other thread
   * there.dispose();
   * host.dispose();
   * ```
   */
  static attach(handle: HostHandle, options: AttachOptions = {}): SlimHost {
    return new SlimHost(...attachedWith(handle, options));
  }

  /** @internal None yet: it comes with {@link complete}. Throws EOPNOTSUPP where it is asked for. */
  protected compile(_: WasmMemory, { fastPath }: MemoryOptions): Compiled | undefined {
    if (fastPath !== "wasm") return undefined;
    throw new IrqBypassError(
      "EOPNOTSUPP",
      'a host of irqbypass/slim compiles WebAssembly late, where it can: leave fastPath out, or import Host from "irqbypass"',
    );
  }

  /** @internal Gets what a host has beside its memory: how to repair it, and a watch of deaths, `ofAll` or not. */
  protected complete(options: MemoryOptions, ofAll: boolean): void {
    this.late = this.loadRest(options, ofAll);
  }

  private async loadRest(options: MemoryOptions, ofAll: boolean): Promise<void> {
    const { beginRepair, compiledFor } = await import("./late.js");
    if (this.disposed) return;
    this.compiled = compiledFor(this.handle.memory, options.fastPath, options.words !== undefined);
    this.begin(beginRepair(this, options, ofAll));
  }

  /** @internal What to end when this thread leaves. */
  protected begin(deaths: DeathWatch | undefined): void {
    this.deaths = deaths;
  }

  /**
   * The host-wide switch: while it is off, nothing is bypassed (enable_device_posted_irqs). Throws EBADF when this thread has
   * left the host, as everything here but `handle`.
   */
  get bypass(): boolean {
    this.checkAttached();
    return this.words.load(Header.bypass) === 1;
  }

  /**
   * Turns bypass on or off for every interrupt of the host. Throws EOPNOTSUPP where a connected irqfd requires bypass, with
   * nothing changed; where one connects in that very moment, others may have been relayed for as long as it took to see it.
   * Blocks for signals that are under way; O(interrupts), the host mutex is held for one at a time. EDEADLK in a callback.
   */
  set bypass(on: boolean) {
    this.checkChange();
    checkFlag(on, "bypass", "needed");
    const { words } = this;
    if (on)
      this.mutex.guard(() => {}); // a thread that may not wait for it is refused here, and not when all has been turned
    else this.refuseIfRequired();
    words.store(Header.bypass, on ? 1 : 0);
    try {
      // Off first, then looked at again: a connect from here on sees the switch, so none can slip in behind the check.
      if (!on) this.refuseIfRequired();
    } catch (error) {
      words.store(Header.bypass, 1);
      throw error;
    } finally {
      refreshAll(this);
      // Whatever is under way, and not only what changed: another thread may just be disconnecting what a signal still uses.
      this.thread.quiesce();
      announceChange(words);
    }
  }

  /**
   * Makes a call of this host that takes a mutex from a thread that may not block, such as a page's main thread: where it is refused
   * because the mutex is busy, EAGAIN with nothing changed, it is made again a little later. Resolves with what it returns, and
   * rejects with what else it throws, with the refusal where `timeoutMs` is over, and with the reason of `signal`. Does not block.
   * In a thread that may block the call itself waits. A wait that blocks has another form, as `waitAsync`, and stays refused.
   *
   * ```ts
   * const irqfd = await host.whenFree(() => vm.irqfd(eventfd, 24));
   * ```
   */
  whenFree<T>(call: () => T | PromiseLike<T>, options: WaitOptions = {}): Promise<T> {
    return whenFree(this, call, options);
  }

  /**
   * Every eventfd that has a producer or an irqfd, with both ends, its path and, where it is not bypassed, the reason.
   * Those with one end only say "no-producer" or "no-consumer".
   */
  interrupts(): Interrupt[] {
    this.checkCall();
    return interruptsOf(this);
  }

  /**
   * Resolves true as soon as the others can tell that this thread has ended, however that comes: where the system knows it, as in
   * Node on Linux, at once; in a page when it has the lock of its life, some milliseconds after it attached, for which it has to
   * be in its event loop. A host of `irqbypass/slim` can repair from then on, too. False where nothing tells it, and once it has left the host. A worker of a page that is to block as soon
   * as it has attached awaits this first: `host.threadLost` must say it otherwise if it should be ended before. Does not block.
   */
  async provable(): Promise<boolean> {
    this.checkAttached();
    await this.late;
    return this.thread.provable();
  }

  /** The number of the calling thread in this host, for `threadLost` in another. */
  get threadId(): number {
    this.checkAttached();
    return this.pools.thread.slot(this.thread.record);
  }

  /**
   * Repairs the host when `worker` ends, however it does: by terminate(), process.exit() or an error, in the middle of
   * anything. What threads in it were doing is completed or undone; their producers, irqfds, VMs and eventfd handles are torn
   * down; what they were connected to says "thread-died", or "thread-ended" where the worker just returned, or called
   * process.exit(0); nobody waits for them any more. A worker that has disposed its
   * `Host` has nothing left. From the thread that started the worker; returns the function that ends the watch. Throws EINVAL
   * for a worker that says nothing of its end, as in a web page: there its lock does, and nobody need watch.
   */
  watch(worker: WatchableWorker): () => void {
    this.checkAttached();
    if (!this.platform.isWorker(worker)) {
      throw new IrqBypassError(
        "EINVAL",
        "watch takes a Worker of node:worker_threads; in a page the end of a worker proves itself, and of any other host.threadLost(id) says that it is gone",
      );
    }
    const number = worker.threadId; // -1 once it has ended
    const exited = () => this.lost(number);
    worker.once("exit", exited);
    return () => worker.off("exit", exited);
  }

  /**
   * Ends `worker` and repairs what it leaves; resolves when both is done. It waits until no thread of this host is loading
   * native code (koffi), which would take the process along, and lets none begin. From the thread that started the worker.
   */
  async terminate(worker: WatchableWorker): Promise<void> {
    const unwatch = this.watch(worker);
    const number = worker.threadId;
    const allowLoading = refuseLoading(this);
    try {
      await untilNobodyLoadsAsync(this);
      await worker.terminate();
      await this.late;
    } finally {
      allowLoading();
      unwatch();
    }
    this.lost(number);
  }

  /** This thread comes to its end with the host still attached, and those end that it has started. */
  private threadEnds(well: boolean): void {
    if (well) this.thread.endsWell();
    refuseLoading(this); // for good
    untilNobodyLoads(this);
  }

  /**
   * Says that the thread with this {@link threadId} is gone, and repairs the host as {@link watch} does. Only for a thread
   * that will never run again: one that goes on would write into what others have by then, and a worker of a page may go on for seconds
   * after `terminate()`. Returns false where it has left already. Throws EINVAL for what is no thread of this host or is the calling
   * one, EBUSY where it is known to be alive: by the system, or in a page by the lock that it has, which repairs the host by itself
   * when it comes free; EAGAIN while this thread cannot repair yet, in a host of `irqbypass/slim`. So it is for threads whose `proof` is "none" in `host.threads()`.
   */
  threadLost(id: number): boolean {
    const { pools, thread } = this;
    this.checkCall();
    if (!Number.isInteger(id) || id < 0 || id >= pools.thread.capacity || id === this.threadId) {
      throw new IrqBypassError("EINVAL", `${show(id)} is not the threadId of another thread of this host`);
    }
    const record = pools.thread.at(id);
    if (thread.isAlive(record)) {
      throw new IrqBypassError(
        "EBUSY",
        `thread ${id} is alive: end it first; what it leaves is repaired when its end is proven`,
        {
          subject: `thread ${id}`,
        },
      );
    }
    if (this.repair !== undefined) return this.repair.lose(record);
    throw new IrqBypassError(
      "EAGAIN",
      "what repairs a host of irqbypass/slim is still being loaded: await host.provable(), and call this again",
      { subject: `thread ${id}` },
    );
  }

  private lost(worker: number): void {
    if (this.disposed) return;
    if (this.repair !== undefined) this.repair.loseAll(worker);
    else void this.late?.then(() => this.lost(worker));
  }

  /**
   * Leaves the host, closing the eventfd handles of this thread, whose asynchronous waits reject with EBADF; in the thread that
   * created it, ends the relay too. Throws EBUSY while this thread has producers registered, its own or those of devices that it
   * signals, runs vCPUs or has a `KvmVm` that it made, and in the creator while VMs are left, naming them. What else it made and others
   * may use stays: software VMs, irqfds, ioeventfds, eventfds that are open elsewhere. Its devices without producers, the vDPA sessions
   * that it has open and the unmask eventfds that it listens to end. Doing it again does nothing.
   */
  dispose(): void {
    if (this.disposed) return;
    this.checkCall();
    this.supervision?.probe(); // for the last time: what a dead thread had open goes with it, and nobody may look later
    this.checkChange();
    this.refuseIfBusy();
    this.disposed = true;
    closeReferences(this, this.thread.record);
    disown(this, this.thread.record);
    this.supervision?.end();
    this.deaths?.end();
    this.forgetExit();
    this.thread.detach();
  }

  /** As {@link dispose}. */
  [Symbol.dispose](): void {
    this.dispose();
  }

  /** @internal With how many records of each pool live, where any do. */
  protected describe(): object {
    const { threadId, bypass, fastPath, platform, pools } = this;
    const live = this.look(() =>
      POOLS.map(({ name }) => [name, pools[name].live] as const).filter(([, count]) => count > 0),
    );
    return { threadId, bypass, fastPath, platform: platform.name, live: Object.fromEntries(live) };
  }

  private refuseIfRequired(): void {
    const { words, pools } = this;
    this.forEachLive(pools.consumer, (consumer) => {
      if (!requires(this, consumer) || words.get(consumer + Consumer.producer) === 0) return;
      const vm = pools.vm.slot(words.get(consumer + Consumer.vm));
      const name = `GSI ${words.get(consumer + Consumer.gsi) >>> 0} of VM ${vm}`;
      throw new IrqBypassError(
        "EOPNOTSUPP",
        `${name} requires bypass: it stays on until that irqfd is disposed`,
        {
          subject: name,
          reason: "switched-off",
        },
      );
    });
  }

  private refuseIfBusy(): void {
    const left = unfinishedOf(this, this.supervision !== undefined);
    if (left.length === 0) return;
    const few = left.slice(0, 8).join(", ");
    throw new IrqBypassError(
      "EBUSY",
      `${few}${left.length > 8 ? " and more" : ""} must be disposed or put first`,
    );
  }
}

type Parts = [HostHandle, MemoryOptions, readonly Kind[], Capacity | undefined];

/** What a new host is made of. */
export function createdWith(options: HostOptions): Parts {
  const how = readHostOptions(options);
  const capacity = checkCapacity(how.capacity, how.size);
  return [reserve(how, capacity), how, [irqfdKind, ...(how.kinds ?? [])], capacity];
}

/** What one is made of that is joined. */
export function attachedWith(handle: HostHandle, options: AttachOptions): Parts {
  const place = readHandle(handle);
  const how = readAttachOptions(options);
  return [place, how, [irqfdKind, ...(how.kinds ?? [])], undefined];
}
