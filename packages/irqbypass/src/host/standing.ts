/**
 * What the calling thread waits for, as others see it in its record: the word that it blocks on, or of its asynchronous waits that which
 * has stood for longest. For tools alone: nothing in the library goes by it.
 */
import { Header, Thread } from "./layout.js";
import type { Words } from "./words.js";

/** The waits of one thread. */
export class Standing {
  /** What wakes each asynchronous wait, in the order in which they began. */
  private readonly asleep = new Map<() => void, { readonly word: number; readonly since: number }>();

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
    for (const { word, since } of this.asleep.values()) {
      this.say(word, since);
      return;
    }
    this.words.store(this.record + Thread.waits, 0);
  }

  /** An asynchronous wait begins, which `wake` ends. Returns what is to be called when it has ended. */
  add(wake: () => void, word: number): () => void {
    this.asleep.set(wake, { word, since: this.words.load(Header.ticks) });
    this.unblock();
    return () => {
      this.asleep.delete(wake);
      if (!this.left) this.unblock();
    };
  }

  /** The thread has left the host, and its record may be another's: wakes all asynchronous waits. */
  end(): void {
    this.left = true;
    for (const wake of this.asleep.keys()) wake();
  }

  private say(word: number, since: number): void {
    const { words, record } = this;
    // A look costs less than a store, and short waits begin in the same tick.
    if (words.load(record + Thread.waitsSince) !== since) words.store(record + Thread.waitsSince, since);
    words.store(record + Thread.waits, word);
  }
}
