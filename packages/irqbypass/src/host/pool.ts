import { show } from "./argument.js";
import { CAPACITY_LIMIT, noRoom, ownRecords } from "./capacity.js";
import { broken, IrqBypassError } from "./errors.js";
import { type PoolName, Rec } from "./layout.js";
import type { Words } from "./words.js";

/** The state of a pool in the header. */
const enum State {
  free = 0,
  fresh = 1,
  live = 2,
  words = 3,
}
export const POOL_STATE_WORDS = State.words;

/** A handle is (generation + the host's salt) * 2^21 + record number, a safe integer. */
const SLOT_LIMIT = CAPACITY_LIMIT + 1;

/** What only some pools have. */
export interface PoolOptions {
  /** Words behind the first two that a record keeps when it is given back. */
  readonly kept?: number | undefined;
  /** What the handles of this host have beside their generation. */
  readonly salt?: number;
  /** The pools of the host. */
  readonly all?: readonly Pool[];
}

/** How a sentence names one of those that have handles. */
const NAMES: Partial<Record<PoolName, string>> = {
  eventfd: "an eventfd",
  epoll: "an epoll",
  vm: "a VM",
  vcpu: "a vCPU",
  device: "a device",
  consumer: "an irqfd",
};

const nounOf = ({ name }: Pool) => NAMES[name] ?? `a ${name}`;

/**
 * Records of one size in shared memory, handed out and taken back in constant time. Every call is made while
 * holding the host mutex.
 *
 * A record's generation is odd while it lives and grows with every change of hands, so a handle of an earlier
 * life is refused (`scenarios/states/life.ts` has its states). Pools start their generations far apart, so a handle of another
 * kind is refused as well. And each host adds a random number of its own, so that a handle of another host comes to a
 * generation that no record of this one has had: to one that lives here in one of 2^32.
 */
export class Pool {
  private readonly kept: number;
  private readonly salt: number;
  private readonly all: readonly Pool[];

  constructor(
    private readonly words: Words,
    readonly name: PoolName,
    /** Where its state is in the header. */
    readonly state: number,
    readonly base: number,
    readonly stride: number,
    readonly capacity: number,
    private readonly firstGeneration: number,
    { kept = 0, salt = 0, all = [] }: PoolOptions = {},
  ) {
    this.kept = kept;
    this.salt = salt;
    this.all = all;
  }

  /**
   * Takes a record, zeroed but for its generation and what is kept. Throws ENOMEM when none is left, with what makes room for the `needed` that
   * the caller wants from here on.
   */
  allocate(needed = 1): number {
    const { words, state } = this;
    if (hasFree(words, state)) return takeFree(words, state);
    const fresh = words.get(state + State.fresh);
    if (fresh === this.capacity) throw noRoom(this.name, this.capacity - ownRecords(this.name), needed);
    words.set(state + State.fresh, fresh + 1);
    const record = this.base + fresh * this.stride;
    words.set(record + Rec.generation, this.firstGeneration);
    enliven(words, state, record);
    return record;
  }

  /** Throws ENOMEM where there are not so many records left: asked before the first of several is taken. */
  checkRoom(needed = 1): void {
    const free = this.capacity - this.live;
    if (free < needed) throw noRoom(this.name, this.capacity - ownRecords(this.name), needed - free, free);
  }

  /**
   * Takes an {@link allocate} back of whose record nobody has heard, for a call that is refused after all: nothing tells that
   * there has been one. Of several, the last one first.
   */
  undo(record: number): void {
    const { words, state, firstGeneration } = this;
    if (!this.lives(record)) broken(`${this.name} record ${record} was released twice`);
    const before = (words.get(record + Rec.generation) - 1) | 0;
    const fresh = words.get(state + State.fresh) - 1;
    if (before === firstGeneration && this.slot(record) === fresh) {
      // Never used: first of all, so that a thread that dies in the next step leaves a record that is not there.
      words.set(record + Rec.generation, 0);
      this.zero(record);
      words.set(record + Rec.link, 0);
      words.set(state + State.fresh, fresh);
      words.set(state + State.live, words.get(state + State.live) - 1);
      return;
    }
    words.set(record + Rec.generation, before);
    this.zero(record);
    push(words, state, record);
  }

  /** Gives a record back; its words are zeroed, and every handle to it is stale from now on. */
  release(record: number): void {
    this.end(record);
    this.zero(record);
    push(this.words, this.state, record);
  }

  /** The same for a record whose owner has zeroed all but its first two words. */
  releaseZeroed(record: number): void {
    if (!this.lives(record)) broken(`${this.name} record ${record} was released twice`);
    free(this.words, this.state, record);
  }

  /**
   * Makes the list of free records anew from what is known of each record, its generation: for a thread that has taken
   * the host mutex over from one that died. O(records used).
   */
  rebuild(): void {
    const { words, state } = this;
    let live = 0;
    words.set(state + State.free, 0);
    for (let slot = this.used - 1; slot >= 0; slot--) {
      const record = this.at(slot);
      if (this.lives(record)) {
        live += 1;
        continue;
      }
      // Handed out for the first time, and no further.
      if (words.get(record + Rec.generation) === 0) words.set(record + Rec.generation, this.firstGeneration);
      this.zero(record);
      words.set(record + Rec.link, words.get(state + State.free));
      words.set(state + State.free, record);
    }
    words.set(state + State.live, live);
  }

  /** Ends the life of a record that `rebuild` is to find free. */
  end(record: number): void {
    if (!this.lives(record)) broken(`${this.name} record ${record} was released twice`);
    // First of all: a record that a dying thread leaves half zeroed is a free one.
    nextGeneration(this.words, record);
  }

  private zero(record: number): void {
    for (let word = record + 2 + this.kept; word < record + this.stride; word++) this.words.set(word, 0);
  }

  /** Is this the reference of a live record of this pool? */
  lives(record: number): boolean {
    return (this.words.get(record + Rec.generation) & 1) === 1;
  }

  /** Is this the reference of a record of this pool? */
  has(record: number): boolean {
    return record >= this.base && record < this.base + this.capacity * this.stride;
  }

  /** The record that a word of this pool lies in. */
  around(word: number): number {
    return word - ((word - this.base) % this.stride);
  }

  /** Live records. */
  get live(): number {
    return this.words.get(this.state + State.live);
  }

  /** Records handed out at least once: none above this number lives. */
  get used(): number {
    return this.words.get(this.state + State.fresh);
  }

  /** Number of a record within its pool, from 0, dense. */
  slot(record: number): number {
    return (record - this.base) / this.stride;
  }

  /** The record of a number. */
  at(slot: number): number {
    return this.base + slot * this.stride;
  }

  /** The handle of a live record: a safe integer that any thread of this host can open. */
  handle(record: number): number {
    const tag = (this.words.get(record + Rec.generation) + this.salt) >>> 0;
    return tag * SLOT_LIMIT + this.slot(record);
  }

  /**
   * The record of a handle. Throws EINVAL for what is no handle, ESTALE for one of an earlier life of the record or of another
   * kind, and EXDEV for one that no record of this host has ever had.
   */
  open(handle: unknown): number {
    const what = nounOf(this);
    const subject = what.replace(/^an? /, "");
    if (typeof handle !== "number" || !Number.isSafeInteger(handle) || handle < 0) {
      throw new IrqBypassError(
        "EINVAL",
        `${show(handle)} is not the handle of ${what}: pass what its handle says`,
        {
          subject,
        },
      );
    }
    const slot = handle % SLOT_LIMIT;
    const generation = (Math.floor(handle / SLOT_LIMIT) - this.salt) >>> 0;
    if (this.had(slot, generation)) {
      const record = this.at(slot);
      if (this.lives(record) && this.words.get(record + Rec.generation) >>> 0 === generation) return record;
      throw new IrqBypassError("ESTALE", `${subject} ${slot}, of which ${handle} is the handle, is gone`, {
        subject,
      });
    }
    const other = this.all.find((pool) => pool.had(slot, generation));
    if (other !== undefined) {
      throw new IrqBypassError("ESTALE", `${handle} is not the handle of ${what}, but of ${nounOf(other)}`, {
        subject,
      });
    }
    throw new IrqBypassError("EXDEV", `${handle} is the handle of ${what} of another host, or of nothing`, {
      subject,
    });
  }

  /** Has the record of this number ever had this generation? */
  private had(slot: number, generation: number): boolean {
    if (slot >= this.used) return false;
    const now = this.words.get(this.at(slot) + Rec.generation);
    return (generation - this.firstGeneration) >>> 0 <= (now - this.firstGeneration) >>> 0;
  }
}

/*
 * What a record takes that was in use before. Compiled to WebAssembly as well (`scripts/compile.mjs`); `state` is where the
 * pool's state is.
 */

/** Is there a record that was in use before? */
export function hasFree(words: Words, state: number): boolean {
  return words.get(state + State.free) !== 0;
}

/** Takes a record where {@link hasFree}, zeroed but for its generation. */
export function takeFree(words: Words, state: number): number {
  const record = words.get(state + State.free);
  words.set(state + State.free, words.get(record + Rec.link));
  words.set(record + Rec.link, 0);
  enliven(words, state, record);
  return record;
}

/** The mirror image of {@link takeFree}: gives a record back that its owner has zeroed but for its first two words. */
export function free(words: Words, state: number, record: number): void {
  nextGeneration(words, record);
  push(words, state, record);
}

function enliven(words: Words, state: number, record: number): void {
  nextGeneration(words, record);
  words.set(state + State.live, words.get(state + State.live) + 1);
}

function push(words: Words, state: number, record: number): void {
  words.set(record + Rec.link, words.get(state + State.free));
  words.set(state + State.free, record);
  words.set(state + State.live, words.get(state + State.live) - 1);
}

/** Odd while the record lives. */
function nextGeneration(words: Words, record: number): void {
  words.set(record + Rec.generation, (words.get(record + Rec.generation) + 1) | 0);
}
