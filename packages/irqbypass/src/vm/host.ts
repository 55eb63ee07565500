import type { BypassHost } from "../bypass/bypass-host.js";
import { announceChange } from "../bypass/changes.js";
import { checkKindParts, type Kind } from "../bypass/kind.js";
import { Manager } from "../bypass/manager.js";
import { type Path, pathOf, pathOfConsumer, reasonOfConsumer, reasonOfProducer } from "../bypass/path.js";
import { irqfdOps, refreshAll, requires } from "../bypass/remapping.js";
import type { Relay } from "../eventfd/kind.js";
import { irqfdOf } from "../eventfd/reference.js";
import { checkObject, show } from "../host/argument.js";
import { IrqBypassError } from "../host/errors.js";
import { Consumer, Eventfd, Header, Producer, Vm as V, Vcpu } from "../host/layout.js";
import { type HostHandle, HostMemory, type MemoryOptions, memoryFor, type Repair } from "../host/memory.js";
import type { SpawnedThread, WatchableWorker } from "../host/platform.js";
import type { Reason } from "../posting/reason.js";
import { deassign } from "./assignment.js";
import { audit } from "./audit/audit.js";
import type { Audit } from "./audit/finding.js";
import { closeReferences, loseAll, loseThread } from "./lost-thread.js";
import { type RelayStart, RelayState } from "./relay.js";
import { HostRepair } from "./repair.js";
import { vmMutex } from "./vm-mutex.js";

/** Options of a new host. */
export interface HostOptions extends MemoryOptions {
  /** Kinds of producers and consumers beside the built-in one. Fixed from now on, the same in every thread. */
  readonly kinds?: readonly Kind[];
}

/** Options of a thread that joins a host. */
export interface AttachOptions
  extends Pick<HostOptions, "kinds" | "platform" | "repairs" | "words" | "fastPath"> {}

/** One eventfd with its two ends, as `host.interrupts()` lists it. */
export interface Interrupt {
  /** The eventfd's id. */
  readonly eventfd: number;
  readonly path: Path;
  /** Why it is not bypassed; undefined while it is. */
  readonly reason: Reason | undefined;
  /** The irqfd, if one is registered. */
  readonly consumer: { readonly vm: number; readonly gsi: number } | undefined;
  /** The device interrupt, if one is registered. */
  readonly producer: { readonly irq: number } | undefined;
  /** Milliseconds since the connection last changed, to a tenth of a second. */
  readonly sinceMs: number;
}

const TICK_MS = 100;
/** How often whoever created the host looks whether a thread has died that nobody watches. */
const PROBE_MS = 1000;
/** How often a thread that is to end is kicked out of its blocking calls. */
const KICK_MS = 10;

/** Looks at what has no checks of its own. */
function checkHostOptions(options: HostOptions): void {
  checkObject(options, "options such as { capacity: { vm: 4 } }, or none");
  const { kinds, platform, words } = options;
  if (kinds !== undefined) {
    if (!Array.isArray(kinds))
      throw new IrqBypassError("EINVAL", `kinds is ${show(kinds)}: give an array of kinds`);
    for (const kind of Array.from(kinds as readonly Kind[])) checkKindParts(kind);
  }
  if (platform !== undefined) checkObject(platform, "a Platform, or none");
  if (words !== undefined && typeof words !== "function") {
    throw new IrqBypassError("EINVAL", `words is ${show(words)}: give a function that makes Words, or none`);
  }
}

/** The kind that is always there: irqfds of software VMs. */
const irqfdKind: Kind = {
  name: "irqfd",
  consumer: irqfdOps,
  hangup(memory, consumer) {
    hangUp(memory as Host, consumer);
  },
  relay: { module: new URL("./relay-worker.js", import.meta.url), wake: (memory) => memory.pending.ring() },
};

/** Deassigns an irqfd whose eventfd nobody can write to any more. */
export function hangUp(host: BypassHost, irqfd: number): void {
  const { words, mutex } = host;
  const vm = mutex.guard(() => words.get(irqfd + Consumer.vm));
  if (vm === 0) return; // deassigned meanwhile
  deassign(host, vmMutex(host, vm), () => {
    // Looked at again: the record may have become that of another irqfd, whose eventfd is open.
    const eventfd = words.get(irqfd + Consumer.vm) === vm ? words.load(irqfd + Consumer.source) : 0;
    return eventfd !== 0 && words.get(eventfd + Eventfd.handles) === 0 ? irqfd : 0;
  });
}

/**
 * A host: one shared memory with everything in it, as the calling thread sees it. `Host.create` makes one, and
 * `Host.attach` joins it in another thread. One thread has one of these for a host.
 */
export class Host extends HostMemory implements BypassHost, Disposable {
  override readonly kinds: readonly Kind[];
  readonly manager: Manager;
  readonly repair: Repair = new HostRepair(this);
  private readonly relays = new Map<number, SpawnedThread>();
  private stopTicks: (() => void) | undefined;
  private disposed = false;

  private constructor(handle: HostHandle, options: MemoryOptions, kinds: readonly Kind[], create: boolean) {
    super(handle, options, kinds, create);
    this.kinds = kinds;
    this.manager = new Manager(this, kinds);
    if (create) this.supervise();
  }

  /**
   * A new host in memory of its own, or in the caller's at `byteOffset`. Throws EINVAL, ENOMEM, EEXIST (there is a
   * host at this place), and EOPNOTSUPP in a page without shared memory, naming the headers that it lacks.
   */
  static create(options: HostOptions = {}): Host {
    checkHostOptions(options);
    return new Host(memoryFor(options), options, [irqfdKind, ...(options.kinds ?? [])], true);
  }

  /**
   * Joins a host in another thread. Throws EINVAL for what is no host, for a damaged header, for another layout version, and
   * for a thread that lacks one of the host's kinds. What is damaged behind the header, {@link audit} finds.
   */
  static attach(handle: HostHandle, options: AttachOptions = {}): Host {
    if (typeof handle !== "object" || handle === null || !("memory" in handle)) {
      throw new IrqBypassError("EINVAL", "Host.attach takes the handle of a host: pass on host.handle");
    }
    checkHostOptions(options);
    return new Host(handle, options, [irqfdKind, ...(options.kinds ?? [])], false);
  }

  /** The host-wide switch: while it is off, nothing is bypassed (enable_device_posted_irqs). */
  get bypass(): boolean {
    return this.words.load(Header.bypass) === 1;
  }

  /**
   * Turns bypass on or off for every interrupt of the host. Throws EOPNOTSUPP where a connected irqfd requires bypass;
   * then it is on again, after a moment in which others may have been relayed. Blocks for signals that are under way; O(interrupts), the host mutex is held for one at a time.
   */
  set bypass(on: boolean) {
    this.checkAttached();
    const { words } = this;
    // Off first, then looked at: a connect from here on sees the switch, so none can slip in behind the check.
    words.store(Header.bypass, on ? 1 : 0);
    const required = on ? undefined : this.firstRequired();
    if (required !== undefined) words.store(Header.bypass, 1);
    refreshAll(this);
    // Whatever is under way, and not only what changed: another thread may just be disconnecting what a signal still uses.
    this.thread.quiesce();
    announceChange(words);
    if (required !== undefined) {
      throw new IrqBypassError("EOPNOTSUPP", `GSI ${required} requires bypass: it stays on`, {
        subject: `GSI ${required}`,
        reason: "switched-off",
      });
    }
  }

  /**
   * Every eventfd that has a producer or an irqfd, with both ends, its path and, where it is not bypassed, the reason.
   * Those with one end only say "no-producer" or "no-consumer".
   */
  interrupts(): Interrupt[] {
    const { words, pools, manager } = this;
    const now = words.load(Header.ticks);
    const found: Interrupt[] = [];
    this.forEachLive(pools.eventfd, (eventfd) => {
      const interrupt = this.interruptOf(
        eventfd,
        manager.producerAt(eventfd),
        manager.consumerAt(eventfd),
        now,
      );
      if (interrupt !== undefined) found.push(interrupt);
    });
    return found;
  }

  /** The number of the calling thread in this host, for `threadLost` in another. */
  get threadId(): number {
    return this.pools.thread.slot(this.thread.record);
  }

  /**
   * Repairs the host when `worker` ends, however it does: by terminate(), process.exit() or an error, in the middle of
   * anything. What threads in it were doing is completed or undone; their producers, irqfds, VMs and eventfd handles are torn
   * down; what they were connected to says "thread-died"; nobody waits for them any more. A worker that has disposed its
   * `Host` has nothing left. From the thread that started the worker; returns the function that ends the watch. Throws EINVAL
   * for a worker that says nothing of its end, as in a web page: call {@link threadLost} there.
   */
  watch(worker: WatchableWorker): () => void {
    if (!this.platform.isWorker(worker)) {
      throw new IrqBypassError(
        "EINVAL",
        "watch takes a Worker of node:worker_threads; of any other, call host.threadLost(id) when it is gone",
      );
    }
    const number = worker.threadId; // -1 once it has ended
    const exited = () => this.lost(number);
    worker.once("exit", exited);
    return () => worker.off("exit", exited);
  }

  /**
   * Ends `worker` and repairs what it leaves; resolves when both is done. First it ends the blocking calls that would keep
   * the worker from ending, such as that of a KVM guest's vCPU. From the thread that started the worker.
   */
  async terminate(worker: WatchableWorker): Promise<void> {
    const unwatch = this.watch(worker);
    const number = worker.threadId;
    const kick = () => {
      for (const kind of this.kinds) kind.kick?.(this);
    };
    const stop = this.platform.every(KICK_MS, kick);
    try {
      await worker.terminate();
    } finally {
      stop();
      unwatch();
    }
    this.lost(number);
  }

  /**
   * Says that the thread with this {@link threadId} is gone, and repairs the host as {@link watch} does. Only for a thread
   * that will never run again: one that goes on would write into what others have by then. Returns false where it has left
   * already. Throws EINVAL for what is no thread of this host or is the calling one, EBUSY where the platform can tell that it
   * is alive.
   */
  threadLost(id: number): boolean {
    const { pools, thread } = this;
    if (!Number.isInteger(id) || id < 0 || id >= pools.thread.capacity || id === this.threadId) {
      throw new IrqBypassError("EINVAL", `${show(id)} is not the threadId of another thread of this host`);
    }
    const record = pools.thread.at(id);
    if (thread.isAlive(record)) {
      throw new IrqBypassError(
        "EBUSY",
        `thread ${id} is alive: end it first, as with host.terminate(worker)`,
        {
          subject: `thread ${id}`,
        },
      );
    }
    return loseThread(this, record);
  }

  private lost(worker: number): void {
    if (!this.disposed) loseAll(this, worker);
  }

  /**
   * Looks at the whole shared memory: that each record is where exactly one thing leads to it, trees and lists are well
   * formed, counts are right, no word names a record that is gone, no interrupt is lost. Says what is wrong, and changes
   * nothing; memory that something else has written to cannot hang it.
   *
   * It is right when nothing else is going on. What another thread is in the middle of may be reported as unfinished: only
   * what is still there in the next audit is wrong.
   *
   * For tests and tools: O(records that were ever in use), and all that time it holds the host mutex and the mutex of each
   * VM. It waits for them at most about a second; one that is held on is a finding. From any thread; throws EDEADLK where
   * the calling thread holds a mutex, that is in a callback.
   */
  audit(): Audit {
    return audit(this);
  }

  /**
   * Leaves the host, closing the eventfd handles of this thread; in the thread that created it, ends the relay too. Throws
   * EBUSY while this thread has producers registered or runs vCPUs, and in the creator while VMs are left, naming them.
   * Doing it again does nothing.
   */
  dispose(): void {
    if (this.disposed) return;
    this.refuseIfBusy();
    this.disposed = true;
    closeReferences(this, this.thread.record);
    if (this.stopTicks !== undefined) {
      this.stopTicks();
      this.kinds.forEach((_, kind) => {
        this.stopRelay(kind);
      });
    }
    this.thread.detach();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  private interruptOf(
    eventfd: number,
    producer: number,
    consumer: number,
    now: number,
  ): Interrupt | undefined {
    const { words, pools } = this;
    const irqfd = consumer === 0 ? irqfdOf(this, eventfd) : consumer;
    if (producer === 0 && irqfd === 0) return undefined;
    const since = words.get(producer === 0 ? irqfd + Consumer.since : producer + Producer.since);
    return {
      eventfd: pools.eventfd.slot(eventfd),
      path: irqfd === 0 ? pathOf(this, producer) : pathOfConsumer(this, irqfd),
      reason: irqfd === 0 ? reasonOfProducer(this, producer) : reasonOfConsumer(this, irqfd),
      consumer:
        irqfd === 0
          ? undefined
          : {
              vm: pools.vm.slot(words.get(irqfd + Consumer.vm)),
              gsi: words.get(irqfd + Consumer.gsi) >>> 0,
            },
      producer: producer === 0 ? undefined : { irq: words.get(producer + Producer.irq) },
      sinceMs: Math.max(0, (now - since) | 0),
    };
  }

  /** GSI of a connected irqfd that requires bypass, if there is one. */
  private firstRequired(): number | undefined {
    const { words, pools } = this;
    let gsi: number | undefined;
    this.forEachLive(pools.consumer, (consumer) => {
      if (requires(this, consumer) && words.get(consumer + Consumer.producer) !== 0) {
        gsi ??= words.get(consumer + Consumer.gsi) >>> 0;
      }
    });
    return gsi;
  }

  private refuseIfBusy(): void {
    const { words, pools, thread } = this;
    const left: string[] = [];
    this.forEachLive(pools.producer, (producer) => {
      const mine = words.get(producer + Producer.owner) === thread.record;
      if (mine && words.get(producer + Producer.eventfd) !== 0)
        left.push(`producer ${pools.producer.slot(producer)}`);
    });
    this.forEachLive(pools.vcpu, (vcpu) => {
      if (words.load(vcpu + Vcpu.runner) === thread.record) left.push(`vCPU ${words.get(vcpu + Vcpu.index)}`);
    });
    if (this.stopTicks !== undefined) {
      this.forEachLive(pools.vm, (vm) => {
        left.push(`VM ${pools.vm.slot(vm)} (${words.get(vm + V.vcpus)} vCPUs)`);
      });
    }
    if (left.length === 0) return;
    const few = left.slice(0, 8).join(", ");
    throw new IrqBypassError(
      "EBUSY",
      `${few}${left.length > 8 ? " and more" : ""} must be disposed or put first`,
    );
  }

  /** The creator's part: the coarse clock, and a relay thread when somebody asks for one. */
  private supervise(): void {
    const { words, platform } = this;
    const started = words.clock();
    const stopTicks = platform.every(TICK_MS, () => words.store(Header.ticks, (words.clock() - started) | 0));
    const stopProbes = platform.every(PROBE_MS, () => loseAll(this));
    this.stopTicks = () => {
      stopTicks();
      stopProbes();
    };
    this.kinds.forEach(({ relay }, kind) => {
      if (relay !== undefined) void this.startWhenAsked(kind, relay);
    });
  }

  private async startWhenAsked(kind: number, how: Relay): Promise<void> {
    const { words, platform } = this;
    const state = Header.relays + kind;
    while (words.load(state) === RelayState.none) await words.waitAsync(state, RelayState.none, Infinity);
    if (words.compareExchange(state, RelayState.wanted, RelayState.running) !== RelayState.wanted) return;
    const start: RelayStart = { host: this.handle, kinds: this.kinds.map(({ name }) => name), kind };
    const relay = platform.spawn(how.module, start);
    this.relays.set(kind, relay);
    const forget = how.started?.(() => this.stopRelay(kind));
    relay.onExit((error) => {
      this.relays.delete(kind);
      forget?.();
      if (this.disposed) return;
      this.lost(relay.worker);
      if (error !== undefined) throw error;
      // Ended from outside: another one goes on.
      if (words.compareExchange(state, RelayState.running, RelayState.wanted) === RelayState.running)
        void this.startWhenAsked(kind, how);
    });
  }

  private stopRelay(kind: number): void {
    const state = Header.relays + kind;
    this.words.store(state, RelayState.stopping);
    this.words.notify(state);
    if (this.relays.has(kind)) this.kinds[kind]?.relay?.wake(this);
  }
}
