/**
 * How a thread looks for a moment before it sleeps: an answer that comes within some microseconds is had without a wake-up, and one
 * that does not has cost a core that others may want. So no more threads look than there are cores to spare, and one whose
 * looks came to nothing stops looking until a look pays again.
 */
import { Header } from "./layout.js";
import type { Platform } from "./platform.js";
import type { Words } from "./words.js";

/** Looks in a microsecond, about. */
const LOOKS_PER_US = 25.6;
/** Waits in a row whose looks came to nothing, after which a thread sleeps at once. */
const MISSES = 4;
/** Of the waits after that, one in so many looks, to see whether it pays again. */
const RETRY = 32;

/** What {@link Header.looks} is for a limit of microseconds. */
export function looksIn(spinUs: number): number {
  return Math.ceil(spinUs * LOOKS_PER_US);
}

/** Looks so many times; has one of them found what it is for? */
export function lookOften(words: Words, times: number, look: () => boolean): boolean {
  for (let left = times; left > 0; left--) {
    if (look()) return true;
    words.relax();
  }
  return false;
}

/** The spinning of one thread in one host. */
export class Spinning {
  /** {@link Header.looks}; 0 once it is known that there is no core to spare, which who never waits need not ask. */
  private looks: number;
  /** Waits in a row whose looks came to nothing. */
  private misses = 0;
  /** Waits that slept at once since then. */
  private passed = 0;

  constructor(
    private readonly words: Words,
    private readonly platform: Platform,
    private readonly lockId: number,
  ) {
    this.looks = words.get(Header.looks);
  }

  /**
   * Before a wait sleeps: does `word` hold something else than `seen` by now? False as well where looking has not paid of late. Where
   * nobody looks this is a few steps, which make nothing: on cores that others want, they are what a wait costs beside its sleep.
   */
  beforeSleep(word: number, seen: number): boolean {
    if (this.looks === 0) return false;
    if (this.misses >= MISSES) {
      this.passed += 1;
      if (this.passed % RETRY !== 0) return false;
    }
    const found = this.now(() => this.words.load(word) !== seen);
    if (found) this.misses = this.passed = 0;
    else if (found === false) this.misses += 1;
    return found === true;
  }

  /** The same without a memory, as a mutex looks. Undefined where it did not: it may not, or enough others do. */
  now(look: () => boolean): boolean | undefined {
    const place = this.looks === 0 ? 0 : this.place();
    if (place === 0) return undefined;
    try {
      return lookOften(this.words, this.looks, look);
    } finally {
      this.words.store(place, 0);
    }
  }

  /**
   * The word in which this thread says that it looks; 0 where enough others do. At most one thread less than there are cores looks at
   * a time, and no more than there are words for it: one more could keep whoever has the answer from its core.
   */
  private place(): number {
    const { cores } = this.platform;
    if (cores < 2) this.looks = 0;
    const end = Math.min(Header.looking + cores - 1, Header.lookingEnd);
    for (let place: number = Header.looking; place < end; place++) {
      if (this.words.compareExchange(place, 0, this.lockId) === 0) return place;
    }
    return 0;
  }
}
