import { Consumer, Header } from "./layout.js";
import type { Pool } from "./pool.js";
import type { Words } from "./words.js";

const ASLEEP = 1;
const RING = 2;

/**
 * States of {@link Consumer.pending}. While an injection is under way it is the record of the thread that does it. Who
 * takes it from which to which: `scenarios/states/injection-due.ts`; and of the doorbell, `scenarios/states/doorbell.ts`.
 */
export const enum Pending {
  idle = 0,
  due = 1,
}

/**
 * The irqfds that have an injection due, as a set of bits with summaries: bit n of a level says that word n of the
 * level below is not 0. Any thread makes an irqfd pending; one relay at a time takes them out.
 *
 * It is the posted-interrupt protocol once more: set the bit, then the summary even if the bit was set already
 * (whoever set it may have died in between), then ring; the taker clears the summary before it reads the bits.
 */
export class PendingIrqfds {
  /** First word of each level, from the bits up to the single top word. */
  readonly levels: readonly number[];

  constructor(
    private readonly words: Words,
    private readonly consumers: Pool,
    base: number,
  ) {
    const levels: number[] = [];
    let start = base;
    for (const size of levelSizes(consumers.capacity)) {
      levels.push(start);
      start += size;
    }
    this.levels = levels;
  }

  /** Words that the set takes for so many irqfds. */
  static words(capacity: number): number {
    return levelSizes(capacity).reduce((sum, size) => sum + size, 0);
  }

  /** Makes an injection of `irqfd` due and rings the relay. Waits for nobody. */
  raise(irqfd: number): void {
    const { words } = this;
    words.exchange(irqfd + Consumer.pending, Pending.due);
    let bit = this.consumers.slot(irqfd);
    for (const level of this.levels) {
      const word = level + (bit >>> 5);
      const mask = 1 << (bit & 31);
      if ((words.load(word) & mask) === 0) words.or(word, mask);
      bit >>>= 5;
    }
    if (words.add(Header.doorbell, RING) & ASLEEP) words.notify(Header.doorbell);
  }

  /**
   * Takes upon the thread of this record, which has announced the irqfd, what there may be to inject, where nothing is due: it looks for
   * a signal, takes it out of where that is, and injects it. Returns {@link Pending.idle}; otherwise what is there instead, due or another
   * thread. So one thread at a time takes signals out, and should it die with one, {@link resume} raises it.
   */
  takeUp(irqfd: number, thread: number): number {
    return this.words.compareExchange(irqfd + Consumer.pending, Pending.idle, thread);
  }

  /**
   * Takes out every pending irqfd and calls `visit` with it, to claim and inject it. An irqfd raised meanwhile is either
   * taken now or stays. At least once across the death of the taker: what it was injecting says so, for repair to raise again.
   */
  takeAll(visit: (irqfd: number) => void): void {
    this.take(this.levels.length - 1, 0, visit);
  }

  /**
   * Takes the injection of `irqfd` upon the thread of this record, which has announced it; false where none is due or another
   * has it.
   */
  claim(irqfd: number, thread: number): boolean {
    return this.words.compareExchange(irqfd + Consumer.pending, Pending.due, thread) === Pending.due;
  }

  /** The injection that the thread claimed is done, or it has found none to make. Raised again meanwhile, the irqfd stays pending, or is another's. */
  settle(irqfd: number, thread: number): void {
    this.words.compareExchange(irqfd + Consumer.pending, thread, Pending.idle);
  }

  /**
   * Makes an injection due once more that a dead thread has left: one that is due, whose bits it may have taken out, and one
   * that it was injecting.
   */
  resume(irqfd: number, gone: number): void {
    const state = this.words.load(irqfd + Consumer.pending);
    if (state === Pending.due || state === gone) this.raise(irqfd);
  }

  private take(level: number, index: number, visit: (irqfd: number) => void): void {
    const { words } = this;
    const word = this.levels[level]! + index;
    // Cleared before what it sums up is read, or a bit set in between would have no summary.
    let bits = words.load(word) === 0 ? 0 : words.exchange(word, 0);
    while (bits !== 0) {
      const bit = 31 - Math.clz32(bits);
      bits &= ~(1 << bit);
      const number = index * 32 + bit;
      if (level > 0) this.take(level - 1, number, visit);
      else visit(this.consumers.at(number));
    }
  }

  /** Is anything pending? */
  get any(): boolean {
    return this.words.load(this.levels[this.levels.length - 1]!) !== 0;
  }

  /**
   * Sleeps until something is raised, at most `timeoutMs`; not at all where it is not to be `wanted` any more, of which
   * {@link ring} tells. For the relay only.
   */
  sleep(
    timeoutMs: number,
    park: (word: number, expected: number, timeoutMs: number) => void,
    wanted: () => boolean = () => true,
  ): void {
    const { words } = this;
    const seen = words.load(Header.doorbell);
    if (this.any || !wanted()) return; // looked at after the doorbell: a ring from here on changes the word
    if (words.compareExchange(Header.doorbell, seen, seen | ASLEEP) !== seen) return;
    park(Header.doorbell, seen | ASLEEP, timeoutMs);
    words.and(Header.doorbell, ~ASLEEP);
  }

  /** Wakes the relay without anything being due, so that it looks at what else it is asked. */
  ring(): void {
    this.words.add(Header.doorbell, RING);
    this.words.notify(Header.doorbell);
  }
}

function levelSizes(capacity: number): number[] {
  const sizes: number[] = [];
  for (let size = capacity; size > 1 || sizes.length === 0; ) {
    size = Math.ceil(size / 32);
    sizes.push(size);
  }
  return sizes;
}
