/** Other ways to the words for the race test: one that dawdles, and one without the in-flight protection. */
import type { Words } from "irqbypass";
import { Header, POOLS, Producer, Thread } from "#src/host/layout.js";
import { SharedWords } from "#src/host/words.js";

/** First word and record count of a pool, as `memory.ts` lays them out: pools follow the header, line by line. */
function poolOf(
  words: Words,
  name: (typeof POOLS)[number]["name"],
): { base: number; end: number; stride: number } {
  let base: number = Header.words;
  for (const [index, pool] of POOLS.entries()) {
    const size = words.get(Header.capacities + index) * pool.words;
    if (pool.name === name) return { base, end: base + size, stride: pool.words };
    base += Math.ceil(size / 16) * 16;
  }
  throw new Error(`no pool ${name}`);
}

/**
 * Now and then rests for a while right after it has read a producer's remapping entry: where a signal in flight is most
 * dangerous. What the library guarantees must hold nevertheless.
 */
export class DawdlingWords extends SharedWords {
  private producers: { base: number; end: number; stride: number } | undefined;
  private reads = 0;

  override load(word: number): number {
    const value = super.load(word);
    this.producers ??= poolOf(this, "producer");
    const { base, end, stride } = this.producers;
    if (word >= base && word < end && (word - base) % stride === Producer.irte && ++this.reads % 16 === 0) {
      const until = performance.now() + 0.5;
      while (performance.now() < until);
    }
    return value;
  }
}

/** The same without in-flight words: whoever takes something away waits for nobody. */
export class UnprotectedWords extends DawdlingWords {
  private threads: { base: number; end: number; stride: number } | undefined;

  override store(word: number, value: number): void {
    if (!this.isInFlight(word)) super.store(word, value);
  }

  private isInFlight(word: number): boolean {
    this.threads ??= poolOf(this, "thread");
    const { base, end, stride } = this.threads;
    if (word < base || word >= end) return false;
    const offset = (word - base) % stride;
    return offset === Thread.signalling || offset === Thread.writing;
  }
}

export const WORDS = {
  plain: (...view: ConstructorParameters<typeof SharedWords>) => new SharedWords(...view),
  dawdling: (...view: ConstructorParameters<typeof SharedWords>) => new DawdlingWords(...view),
  unprotected: (...view: ConstructorParameters<typeof SharedWords>) => new UnprotectedWords(...view),
};
