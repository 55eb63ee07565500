/**
 * What the calling thread waits for, as others see it in its record: the word that it blocks on, or of its asynchronous waits that which
 * has stood for longest. For tools alone: nothing in the library goes by it.
 */
import { Header, Thread } from "./layout.js";
import type { Words } from "./words.js";

/** An asynchronous wait. */
export interface StandingWait {
  readonly word: number;
  /** Header.ticks when it began. */
  since: number;
  /** The thread leaves the host: it is to end. */
  wake(): void;
}

/** The waits of one thread. */
export class Standing {
  /** The asynchronous ones, in the order in which they began. */
  private readonly asleep = new Set<StandingWait>();

  private left = false;

  constructor(
    private readonly words: Words,
    private readonly record: number,
  ) {}

  /** The thread blocks on a word from here on. */
  block(word: number): void {
    this.say(word, this.words.load(Header.ticks));
  }

  /** The mirror image. */
  unblock(): void {
    for (const { word, since } of this.asleep) {
      this.say(word, since);
      return;
    }
    this.words.store(this.record + Thread.waits, 0);
  }

  /** An asynchronous wait begins. */
  add(wait: StandingWait): void {
    wait.since = this.words.load(Header.ticks);
    this.asleep.add(wait);
    this.unblock();
  }

  /** The mirror image. */
  remove(wait: StandingWait): void {
    this.asleep.delete(wait);
    if (!this.left) this.unblock();
  }

  /** The thread has left the host, and its record may be another's: wakes all asynchronous waits. */
  end(): void {
    this.left = true;
    for (const wait of this.asleep) wait.wake();
  }

  private say(word: number, since: number): void {
    const { words, record } = this;
    // A look costs less than a store, and short waits begin in the same tick.
    if (words.load(record + Thread.waitsSince) !== since) words.store(record + Thread.waitsSince, since);
    words.store(record + Thread.waits, word);
  }
}
