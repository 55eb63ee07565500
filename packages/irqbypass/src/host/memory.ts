import { checkClass, show } from "./argument.js";
import { type Capacity, checkCapacity, type Size } from "./capacity.js";
import type { Compiled, FastPath } from "./compiled.js";
import { IrqBypassError } from "./errors.js";
import { checkHeader, checkKinds, hostWords, joinNames, lines, readSize, writeHeader } from "./header.js";
import { Header, KEPT, POOLS, type PoolName } from "./layout.js";
import { whileLoading } from "./loading.js";
import { deadlock, Mutex } from "./mutex.js";
import { checkPassing } from "./passing.js";
import { PendingIrqfds } from "./pending.js";
import type { Platform } from "./platform.js";
import { platformHere } from "./platform-here.js";
import { POOL_STATE_WORDS, Pool } from "./pool.js";
import { type HostHandle, type PlaceOptions, sharedBuffer } from "./reserve.js";
import { Shown } from "./shown.js";
import type { Spawn } from "./spawn.js";
import { ThisThread } from "./thread.js";
import type { WasmMemory } from "./wasm.js";
import { SharedWords, WORD_BYTES, type Words } from "./words.js";

/**
 * A kind of producer, consumer or eventfd, as the ground needs to know it. Records name their kind by number, and its
 * operations run in whichever thread acts, so every thread of a host has the same kinds.
 */
export interface HostKind {
  /** What the kind is called in errors and in the host's header. */
  readonly name: string;
  /** Does the calling thread have what this kind needs, such as system calls? */
  readonly capable?: () => boolean;
}

/** Options of a host's memory, in whichever thread. */
export interface MemoryOptions extends PlaceOptions {
  /** What the library needs from where it runs. If absent, Node's or the web's, whichever it is. */
  readonly platform?: Platform;
  /** What `Host.threads` calls this thread: at most 24 characters. If absent, what the platform calls it. */
  readonly name?: string;
  /** How this thread starts the workers that the library needs. If absent, the library does it: see {@link Spawn}. */
  readonly spawn?: Spawn;
  /**
   * false: this thread repairs nothing that a dead one left. For a thread that passes mere names for the kinds, whose
   * callbacks a repair may have to call.
   */
  readonly repairs?: boolean;
  /**
   * For how many microseconds at most a thread that waits looks before it sleeps, 0 to 1000; default 5, and 0 sleeps at once. An answer
   * within that time is had without a wake-up. A thread whose looks come to nothing stops looking by itself, and tries again now and
   * then; no more threads look at a time than there are cores to spare. The same for every thread of the host.
   */
  readonly spinUs?: number;
  /** Another way to the words, for a tool that counts, traces or schedules them. */
  readonly words?: (buffer: SharedArrayBuffer, byteOffset: number, length: number) => Words;
  /**
   * What signals and harvests run as. If absent, WebAssembly where it can be had and `words` is absent. "wasm" refuses to go
   * without it: EOPNOTSUPP where it cannot be compiled, EINVAL together with `words`.
   */
  readonly fastPath?: FastPath;
}

/** What a thread can do for the 8259s of a VM. One that has `irqbypass/slim` has none of it, and neither has the relay. */
export interface Pics {
  /** Lets a pin see its line; returns what KVM_IRQ_LINE_STATUS says. Under the VM's mutex. */
  follow(memory: HostMemory, vm: number, chip: number, pin: number): number;
  /** Do they ask for an acknowledge? Takes the VM's mutex where a line has changed that they have not seen. */
  ask(memory: HostMemory, vm: number): boolean;
  /** The acknowledge of a vCPU: returns the vector, undefined where they ask for none. Takes the VM's mutex. */
  acknowledge(memory: HostMemory, vm: number, vcpu: number): number | undefined;
}

/** What is done for a thread that is proven to be gone; all of it may be done more than once. */
export interface Repair {
  /** Makes whole what the host mutex guards. The caller holds it; the thread of this record did. */
  host(dead: number): void;
  /** The same for the mutex of a VM. */
  vm(vm: number): void;
  /** The same for the mutex of a device or of an MSI-X table, which the thread with this lock id held. */
  device(device: number, dead: number): void;
  /** Ends the MSI-X table in this record, where it is there and its device has ended. */
  table(table: number): void;
  /** Makes whole what the thread was in the middle of, and ends with its in-flight words. Not under the host mutex. */
  thread(gone: number): void;
  /** Repairs after the thread of this record and tears down what it owned. False where that has been done already. */
  lose(gone: number): boolean;
  /** The same for all that are proven to be gone: by the platform, or because their worker has exited. */
  loseAll(exited?: number): void;
}

/**
 * One thread's view of a host's memory: the words, the pools and the host mutex. Everything that the floors
 * above keep, they keep in its records.
 */
export abstract class HostMemory extends Shown {
  /** What another thread passes to `Host.attach`. */
  readonly handle: HostHandle;
  /** @internal Where the host starts in the memory, in bytes. */
  readonly base: number;
  /** What the library uses of where it runs. */
  readonly platform: Platform;
  /** How this thread starts the workers that the library needs, where the caller has said how. */
  readonly spawn: Spawn | undefined;
  /** The shared words, for the callbacks of a {@link Kind}: what they keep between two calls, they keep there. */
  readonly words: Words;
  /** @internal The fast path as WebAssembly; undefined where it is TypeScript. The explorer sets another one, over `words`. */
  compiled: Compiled | undefined;
  /** @internal */
  readonly pools: Readonly<Record<PoolName, Pool>>;
  /** @internal */
  readonly thread: ThisThread;
  /** @internal */
  readonly kinds: readonly HostKind[];
  /** @internal The irqfds that wait for the relay. */
  readonly pending: PendingIrqfds;
  /** @internal The host mutex: guards the pools, both indexes, and every connect and disconnect. */
  readonly mutex: Mutex;

  /** @internal What the upper floors do when a thread has died; undefined while this thread cannot, and waits for one that can. */
  repair: Repair | undefined;

  /** @internal */
  readonly pics: Pics | undefined = undefined;

  /** @internal */
  protected constructor(
    handle: HostHandle,
    options: MemoryOptions,
    kinds: readonly HostKind[],
    capacity: Capacity | undefined,
  ) {
    super();
    this.handle = handle;
    this.base = handle.byteOffset;
    const platform = options.platform ?? platformHere();
    this.platform = platform;
    this.spawn = options.spawn;
    const buffer = sharedBuffer(handle.memory);
    const access = options.words ?? ((...view) => new SharedWords(...view, platform.clock?.bind(platform)));
    const names = kinds.map((kind) => kind.name);
    const whatIsCapable = () => kinds.map((kind) => kind.capable?.() === true);
    // It may throw: before anything is written.
    const capable = capacity === undefined ? undefined : whatIsCapable();
    this.kinds = kinds;
    this.compiled = this.compile(handle.memory, options);
    if (capacity !== undefined) {
      const words = access(buffer, handle.byteOffset, hostWords(capacity));
      writeHeader(words, capacity, joinNames(names), options.spinUs);
      this.words = words;
    } else {
      const length = readSize(buffer, handle.byteOffset);
      this.words = access(buffer, handle.byteOffset, length);
      checkHeader(this.words, length);
      checkKinds(this.words, names);
    }
    this.pools = makePools(this.words);
    const { node, consumer } = this.pools;
    this.pending = new PendingIrqfds(this.words, consumer, node.base + lines(node.capacity * node.stride));
    this.thread = new ThisThread(this.words, this.pools.thread, this.platform, options.name);
    this.mutex = new Mutex(this.words, Header.mutex, this.thread, "the host mutex", (dead) =>
      this.repair!.host(this.thread.recordOf(dead)),
    );
    (capable ?? this.loaded(whatIsCapable)).forEach((is, kind) => {
      if (is) this.thread.grant(kind);
    });
  }

  /** @internal The fast path that a new view has from the start, before anything is written. */
  protected abstract compile(memory: WasmMemory, options: MemoryOptions): Compiled | undefined;

  /** Loads what the kinds need in a thread that others know by now: none of them ends it meanwhile. Leaves where that throws. */
  private loaded<T>(load: () => T): T {
    try {
      return whileLoading(this, load);
    } catch (error) {
      this.thread.detach();
      throw error;
    }
  }

  /** @internal Is this a view of the same host? */
  isSameHost(other: HostMemory): boolean {
    return other === this || other.words.get(Header.id) === this.words.get(Header.id);
  }

  /** What signals and harvests run as in this thread: "typescript" where WebAssembly may not be compiled, or `words` were given. */
  get fastPath(): FastPath {
    return this.compiled === undefined ? "typescript" : "wasm";
  }

  /**
   * @internal Calls `visit` with each live record of a pool, holding the host mutex for one at a time: each visit sees one
   * moment, and nobody waits for the whole walk.
   */
  forEachLive(pool: Pool, visit: (record: number) => void): void {
    for (let slot = 0; ; slot++) {
      const more = this.mutex.guard(() => {
        if (slot >= pool.used) return false;
        const record = pool.at(slot);
        if (pool.lives(record)) visit(record);
        return true;
      });
      if (!more) return;
    }
  }

  /** @internal Throws EBADF once this view of the host has been left: its thread record may be another thread's by now. */
  checkAttached(): void {
    if (this.thread.left) throw new IrqBypassError("EBADF", LEFT);
  }

  /**
   * @internal Runs `section`, which changes nothing, under the host mutex: in a callback the thread has it already. For a call that
   * only looks, or has not begun to change anything: a thread that may not block is refused, before this and after it.
   */
  look<T>(section: () => T): T {
    if (this.mutex.held()) return section();
    const { thread } = this;
    thread.begun = false;
    try {
      return this.mutex.guard(section);
    } finally {
      thread.begun = false;
    }
  }

  /**
   * @internal What every call asks first, before it writes anything, that takes a mutex or waits. Throws EBADF as above, and EDEADLK
   * where a callback of a kind makes the call: that runs under the host mutex, in the middle of another call. The thread that
   * created the host does here what others have asked it for.
   */
  checkCall(): void {
    this.checkAttached();
    const { thread } = this;
    const { callback } = thread;
    if (callback !== undefined) throw deadlock(this.mutex.name, callback);
    thread.serveAtTimes();
    thread.begun = false;
  }

  /**
   * @internal The same before a call that waits for what other threads are in the middle of: EAGAIN in a thread that may not block,
   * with nothing changed, where that does not end.
   */
  checkChange(): void {
    this.checkCall();
    this.checkPassing();
  }

  /** @internal That alone, for calls that nothing else refuses. */
  checkPassing(): void {
    if (!this.thread.mayBlock) checkPassing(this.words, this.pools.thread, this.thread.record);
  }

  /** Bytes of shared memory that a host of this size and these single capacities takes. Throws EINVAL. */
  static bytes(capacity?: Partial<Capacity>, size?: Size): number {
    return hostWords(checkCapacity(capacity, size)) * WORD_BYTES;
  }
}

const LEFT = "the host was disposed in this thread: attach to it again with Host.attach";

/** Refuses what is no host, EINVAL, a host that this thread has left, EBADF, and a call from a callback, EDEADLK. */
export function checkHost(memory: unknown): void {
  checkClass(
    memory,
    HostMemory,
    () => `${show(memory)} is no host: pass what Host.create or Host.attach returned`,
  );
  memory.checkCall();
}

function makePools(words: Words): Readonly<Record<PoolName, Pool>> {
  let base: number = Header.words;
  const pools: Partial<Record<PoolName, Pool>> = {};
  const all: Pool[] = [];
  // Spread over all bits: ids that are close by each other are those of hosts that were made one after the other.
  const salt = Math.imul(words.get(Header.id), 0x9e3779b1);
  POOLS.forEach(({ name, words: stride }, index) => {
    const capacity = words.get(Header.capacities + index);
    const state = Header.pools + index * POOL_STATE_WORDS;
    const pool = new Pool(words, name, state, base, stride, capacity, index << 27, {
      kept: KEPT[name],
      salt,
      all,
    });
    pools[name] = pool;
    all.push(pool);
    base += lines(capacity * stride);
  });
  return pools as Record<PoolName, Pool>;
}
