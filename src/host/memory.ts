import { checkObject, show } from "./argument.js";
import { type Compiled, compiledFor, type FastPath } from "./compiled.js";
import { IrqBypassError } from "./errors.js";
import type { Kind } from "./kind.js";
import {
  DEFAULT_ROUTES,
  Header,
  LAYOUT_VERSION,
  LINE,
  MAGIC,
  POOLS,
  type PoolName,
  Root,
  Thread,
} from "./layout.js";
import { Mutex } from "./mutex.js";
import { PendingIrqfds } from "./pending.js";
import type { Platform } from "./platform.js";
import { nodePlatform } from "./platform-node.js";
import { webPlatform } from "./platform-web.js";
import { POOL_STATE_WORDS, Pool } from "./pool.js";
import { ThisThread } from "./thread.js";
import { createMemory, isMemory, type WasmMemory } from "./wasm.js";
import { SharedWords, type Words } from "./words.js";

/** How many records of each kind a host has room for. */
export type Capacity = Readonly<Record<Exclude<PoolName, "node">, number>>;

const DEFAULT_CAPACITY: Capacity = {
  thread: 128,
  eventfd: 65536,
  producer: 65536,
  consumer: 65536,
  vm: 1024,
  vcpu: 4096,
  route: 65536,
  routing: 2048,
  injection: 65536,
  reference: 131072,
};

/** A host's memory as another thread gets it: structured-cloneable, the memory itself is shared. */
export interface HostHandle {
  readonly memory: WasmMemory;
  /** Where the host starts in the memory, in bytes. */
  readonly byteOffset: number;
}

export interface MemoryOptions {
  /** The caller's own shared memory, where its compiled code lives too; otherwise a new one. */
  readonly memory?: WasmMemory;
  /** Where in the caller's memory the host starts: a multiple of 64 bytes. */
  readonly byteOffset?: number;
  readonly capacity?: Partial<Capacity>;
  readonly platform?: Platform;
  /**
   * false: this thread repairs nothing that a dead one left. For a thread that passes mere names for the kinds, whose
   * callbacks a repair may have to call.
   */
  readonly repairs?: boolean;
  /** Another way to the words, for a tool that counts, traces or schedules them. */
  readonly words?: (buffer: SharedArrayBuffer, byteOffset: number, length: number) => Words;
  /**
   * What signals and harvests run as. If absent, WebAssembly where it can be had and `words` is absent. "wasm" refuses to go
   * without it: EOPNOTSUPP where it cannot be compiled, EINVAL together with `words`.
   */
  readonly fastPath?: FastPath;
}

/** What is done for a thread that is proven to be gone; all of it may be done more than once. */
export interface Repair {
  /** Makes whole what the host mutex guards. The caller holds it; the thread of this record did. */
  host(dead: number): void;
  /** The same for the mutex of a VM. */
  vm(vm: number): void;
  /** Makes whole what the thread was in the middle of, and ends with its in-flight words. Not under the host mutex. */
  thread(gone: number): void;
}

const BYTES = 4;
const PAGE = 65536;

/**
 * One thread's view of a host's memory: the words, the pools and the host mutex. Everything that the floors
 * above keep, they keep in its records.
 */
export abstract class HostMemory {
  readonly handle: HostHandle;
  /** Where the host starts in the memory, in bytes. */
  readonly base: number;
  readonly platform: Platform;
  readonly words: Words;
  /** The fast path as WebAssembly; undefined where it is TypeScript. The explorer sets another one, over `words`. */
  compiled: Compiled | undefined;
  readonly pools: Readonly<Record<PoolName, Pool>>;
  readonly thread: ThisThread;
  readonly kinds: readonly Kind[];
  /** The irqfds that wait for the relay. */
  readonly pending: PendingIrqfds;
  /** The host mutex: guards the pools, both indexes, and every connect and disconnect. */
  readonly mutex: Mutex;

  /** What the upper floors do when a thread has died. */
  abstract readonly repair: Repair;

  protected constructor(handle: HostHandle, options: MemoryOptions, kinds: readonly Kind[], create: boolean) {
    this.handle = handle;
    this.base = handle.byteOffset;
    this.platform = options.platform ?? nodePlatform() ?? webPlatform();
    const buffer = sharedBuffer(handle.memory);
    const access = options.words ?? ((...view) => new SharedWords(...view));
    const names = kinds.map((kind) => kind.name);
    this.kinds = kinds;
    this.compiled = compiledFor(handle.memory, options.fastPath, options.words !== undefined);
    if (create) {
      const capacity = checkCapacity(options.capacity);
      const words = access(buffer, handle.byteOffset, hostWords(capacity));
      writeHeader(words, capacity, joinNames(names));
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
    this.thread = new ThisThread(
      this.words,
      this.pools.thread,
      this.platform,
      options.repairs === false ? undefined : (gone) => this.repair.thread(gone),
    );
    this.mutex = new Mutex(this.words, Header.mutex, this.thread, "the host mutex", (dead) =>
      this.repair.host(this.thread.recordOf(dead)),
    );
    kinds.forEach((kind, index) => {
      if (kind.capable?.() === true) this.thread.grant(index);
    });
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

  /** Throws EBADF once this view of the host has been left: its thread record may be another thread's by now. */
  checkAttached(): void {
    if (this.thread.left) throw new IrqBypassError("EBADF", LEFT);
  }

  /** Bytes of shared memory that a host of this capacity takes. */
  static bytes(capacity?: Partial<Capacity>): number {
    return hostWords(checkCapacity(capacity)) * BYTES;
  }
}

const LEFT = "the host was disposed in this thread: attach to it again with Host.attach";

/** Refuses what is no host, EINVAL, and a host that this thread has left, EBADF. */
export function checkHost(memory: unknown): void {
  if (!(memory instanceof HostMemory)) {
    throw new IrqBypassError(
      "EINVAL",
      `${show(memory)} is no host: pass what Host.create or Host.attach returned`,
    );
  }
  memory.checkAttached();
}

/** A memory for a new host: the caller's, checked, or one of our own. */
export function memoryFor(options: MemoryOptions): HostHandle {
  const bytes = HostMemory.bytes(options.capacity);
  const byteOffset = options.byteOffset ?? 0;
  if (!Number.isSafeInteger(byteOffset) || byteOffset < 0 || byteOffset % (LINE * BYTES) !== 0) {
    throw new IrqBypassError("EINVAL", `byteOffset is ${show(byteOffset)}: it must be a multiple of 64`);
  }
  if (options.memory !== undefined) {
    const room = sharedBuffer(options.memory).byteLength - byteOffset;
    if (room < bytes) {
      throw new IrqBypassError(
        "ENOMEM",
        `the memory has ${Math.max(room, 0)} bytes from byteOffset ${byteOffset} on, this host takes ${bytes}: ` +
          "pass a larger memory or a smaller capacity",
      );
    }
    return { memory: options.memory, byteOffset };
  }
  refuseUnshared();
  const pages = Math.ceil((bytes + byteOffset) / PAGE);
  try {
    return { memory: createMemory(pages), byteOffset };
  } catch (cause) {
    throw new IrqBypassError(
      "ENOMEM",
      `cannot get ${pages * PAGE} bytes of shared memory: ask for a smaller capacity`,
      {
        cause,
      },
    );
  }
}

function refuseUnshared(): void {
  const isolated = (globalThis as { crossOriginIsolated?: boolean }).crossOriginIsolated;
  if (typeof SharedArrayBuffer === "undefined" || isolated === false) {
    throw new IrqBypassError(
      "EOPNOTSUPP",
      "this page has no shared memory: serve it with the headers Cross-Origin-Opener-Policy: same-origin and " +
        "Cross-Origin-Embedder-Policy: require-corp",
    );
  }
}

function sharedBuffer(memory: unknown): SharedArrayBuffer {
  const buffer = isMemory(memory) ? memory.buffer : undefined;
  if (typeof SharedArrayBuffer === "undefined" || !(buffer instanceof SharedArrayBuffer)) {
    refuseUnshared();
    throw new IrqBypassError("EINVAL", "a host lives in a WebAssembly.Memory made with shared: true");
  }
  return buffer;
}

function checkCapacity(wanted: Partial<Capacity> = {}): Capacity {
  checkObject(wanted, "a capacity such as { eventfd: 100 }, or none");
  for (const [name, value] of Object.entries(wanted)) {
    if (!Object.hasOwn(DEFAULT_CAPACITY, name)) {
      throw new IrqBypassError(
        "EINVAL",
        `capacity.${name} is not known: use ${Object.keys(DEFAULT_CAPACITY).join(", ")}`,
      );
    }
    if (!Number.isSafeInteger(value) || value < 1 || value >= 2 ** 21) {
      throw new IrqBypassError(
        "EINVAL",
        `capacity.${name} is ${show(value)}: give a whole number from 1 to 2097151`,
      );
    }
  }
  return { ...DEFAULT_CAPACITY, ...wanted };
}

/** The nodes that three xarrays over dense indexes can need, with slack for eventfd-ids that are not dense. */
function nodeCapacity(capacity: Capacity): number {
  return Math.ceil((capacity.producer + capacity.consumer) / 32) + Math.ceil(capacity.eventfd / 32) + 64;
}

/** What a pool has room for: what was asked for, and what the host itself takes. */
function capacityOf(capacity: Capacity, pool: PoolName): number {
  if (pool === "node") return nodeCapacity(capacity);
  if (pool === "route") return capacity.route + DEFAULT_ROUTES;
  if (pool === "routing") return capacity.routing + 1;
  return capacity[pool];
}

const lines = (words: number) => Math.ceil(words / LINE) * LINE;

/** Words of a host whose pools have room for so many records. */
export function sizeOf(capacity: (pool: PoolName) => number): number {
  let words: number = Header.words;
  for (const { name, words: stride } of POOLS) words += lines(capacity(name) * stride);
  return words + lines(PendingIrqfds.words(capacity("consumer")));
}

function hostWords(capacity: Capacity): number {
  const words = sizeOf((pool) => capacityOf(capacity, pool));
  if (words >= 2 ** 30) {
    throw new IrqBypassError(
      "EINVAL",
      `this capacity takes ${words * BYTES} bytes: a host has at most 4 GiB`,
    );
  }
  return words;
}

/** Levels of an xarray over indexes of 32 bits. */
const MAX_LEVELS = 6;
const MAX_KINDS = Header.kinds - Header.relays;

/** The names as the header keeps them. Throws where a thread that attaches could not tell them apart. */
function joinNames(kinds: readonly string[]): string {
  if (kinds.length > MAX_KINDS) {
    throw new IrqBypassError("E2BIG", `a host has at most ${MAX_KINDS} kinds, its own included`);
  }
  for (const name of kinds) {
    if (typeof name === "string" && /^[^\n]+$/.test(name) && kinds.indexOf(name) === kinds.lastIndexOf(name))
      continue;
    throw new IrqBypassError(
      "EINVAL",
      `kind ${typeof name === "string" ? JSON.stringify(name) : show(name)}: give each kind a name of its own, in one line`,
    );
  }
  const names = kinds.join("\n");
  if (names.length > Header.kindsEnd - Header.kinds - 1) {
    throw new IrqBypassError(
      "E2BIG",
      `the names of the kinds take ${names.length} characters: use shorter names`,
    );
  }
  return names;
}

function writeHeader(words: Words, capacity: Capacity, names: string): void {
  if (words.load(Header.magic) === MAGIC) {
    throw new IrqBypassError(
      "EEXIST",
      "there is a host at this place already: attach to it, or clear the memory first",
    );
  }
  POOLS.forEach(({ name }, index) => {
    words.set(Header.capacities + index, capacityOf(capacity, name));
  });
  words.set(Header.kinds, names.length);
  for (let i = 0; i < names.length; i++) words.set(Header.kinds + 1 + i, names.charCodeAt(i));
  words.set(Header.size, hostWords(capacity));
  words.set(Header.version, LAYOUT_VERSION);
  words.set(Header.id, Math.floor(Math.random() * 2 ** 31));
  words.store(Header.bypass, 1);
  words.store(Header.magic, MAGIC); // last: whoever sees the magic sees the whole header
}

/** Size in words of the host at this place; throws what is wrong with it otherwise. */
function readSize(buffer: SharedArrayBuffer, byteOffset: number): number {
  const inside = Number.isSafeInteger(byteOffset) && byteOffset >= 0 && byteOffset % (LINE * BYTES) === 0;
  const room = inside ? (buffer.byteLength - byteOffset) / BYTES : 0;
  if (room < Header.words)
    throw new IrqBypassError("EINVAL", `there is no host at byteOffset ${show(byteOffset)} of this memory`);
  const header = new Int32Array(buffer, byteOffset, Header.words);
  if (Atomics.load(header, Header.magic) !== MAGIC) {
    throw new IrqBypassError(
      "EINVAL",
      `the memory at byteOffset ${byteOffset} is not a host: pass the handle of one`,
    );
  }
  const version = header[Header.version]!;
  if (version !== LAYOUT_VERSION) {
    throw new IrqBypassError(
      "EINVAL",
      `this host has layout version ${version}, this library knows ${LAYOUT_VERSION}: use the same version in every thread`,
    );
  }
  const size = header[Header.size]!;
  if (size < Header.words || size > room) {
    throw new IrqBypassError(
      "EINVAL",
      `this host says it has ${size} words, its memory has ${room}: it is damaged`,
    );
  }
  return size;
}

/**
 * Refuses a header with a word that no host's can have: what is built on it would look for records where there are none, or
 * wait for a thread that is none. Of a word that others may be changing it asks no more than a range.
 */
function checkHeader(words: Words, size: number): void {
  const require = (holds: boolean, what: string) => {
    if (!holds) throw new IrqBypassError("EINVAL", `the header of this host says ${what}: it is damaged`);
  };
  const capacity = (index: number) => words.get(Header.capacities + index);
  let base: number = Header.words;
  const isRecord = (reference: number, stride: number, count: number) =>
    reference === 0 ||
    (reference >= base && reference < base + stride * count && (reference - base) % stride === 0);
  POOLS.forEach(({ name, words: stride }, index) => {
    const count = capacity(index);
    require(count >= 1 && count < 2 ** 21, `that there is room for ${count} of ${name}`);
    const [free, used, live] = [0, 1, 2].map((word) =>
      words.get(Header.pools + index * POOL_STATE_WORDS + word),
    );
    require(used! >= 0 &&
      used! <= count &&
      live! >= 0 &&
      live! <= count, `that ${live} of ${used} ${name} records live`);
    require(isRecord(free!, stride, count), `that a free ${name} record is at word ${free}`);
    if (name === "node") {
      for (const root of [Header.producers, Header.consumers, Header.linuxEventfds]) {
        const [node, levels] = [words.get(root + Root.node), words.get(root + Root.levels)];
        require(levels >= 0 &&
          levels <= MAX_LEVELS &&
          isRecord(node, stride, count), `that an index starts at word ${node}`);
      }
    }
    base += lines(stride * count);
  });
  const own = sizeOf((pool) => capacity(POOLS.findIndex(({ name }) => name === pool)));
  require(own === size, `that its records take ${own} words, and has ${size}`);
  const length = words.get(Header.kinds);
  require(length >= 1 &&
    length < Header.kindsEnd - Header.kinds, `that the names of its kinds take ${length} words`);
  const threads = words.load(Header.threads);
  require(threads >= 0 && threads <= capacity(0), `that ${threads} threads have attached`);
  const held = words.load(Header.mutex);
  const owner = held >>> 1;
  require(held !== 1, "that nobody holds its mutex, and somebody waits for it");
  require(owner <= capacity(0), `that thread ${owner - 1} holds its mutex`);
  const state = owner === 0 ? 1 : words.load(Header.words + (owner - 1) * POOLS[0].words + Thread.state);
  require(state !== 0 ||
    words.load(Header.mutex) !== held, `that thread ${owner - 1}, which is not there, holds its mutex`);
}

/** Refuses a thread that lacks one of the host's kinds: it could not run the callbacks of that kind. */
function checkKinds(words: Words, mine: readonly string[]): void {
  const length = words.get(Header.kinds);
  let names = "";
  for (let i = 0; i < length; i++) names += String.fromCharCode(words.get(Header.kinds + 1 + i));
  const wanted = names.split("\n");
  const missing = wanted.filter((name) => !mine.includes(name));
  const extra = mine.filter((name) => !wanted.includes(name));
  if (missing.length > 0) {
    throw new IrqBypassError(
      "EINVAL",
      `this host was created with kinds that this thread lacks: pass ${missing.join(", ")} to Host.attach`,
    );
  }
  if (extra.length > 0 || wanted.some((name, index) => mine[index] !== name)) {
    throw new IrqBypassError(
      "EINVAL",
      `the kinds of a host are fixed when it is created: pass exactly ${wanted.join(", ")} in this order to Host.attach`,
    );
  }
}

function makePools(words: Words): Readonly<Record<PoolName, Pool>> {
  let base: number = Header.words;
  const pools: Partial<Record<PoolName, Pool>> = {};
  POOLS.forEach(({ name, words: stride }, index) => {
    const capacity = words.get(Header.capacities + index);
    const state = Header.pools + index * POOL_STATE_WORDS;
    pools[name] = new Pool(words, name, state, base, stride, capacity, index << 27);
    base += lines(capacity * stride);
  });
  return pools as Record<PoolName, Pool>;
}
