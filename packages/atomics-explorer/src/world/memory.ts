/** A memory under exploration: every write is remembered, so that it can be taken back, and told in a fingerprint. */
export class ExploredMemory {
  readonly view: Int32Array;
  readonly pairs: BigInt64Array;
  /** Two independent sums over all words that differ from the start: what the memory looks like, in 64 bits. */
  low = 0;
  high = 0;
  /** Writes since the start, as word and old value. */
  private readonly undo: number[] = [];
  private undone = 0;

  /** `view` starts at a multiple of eight bytes. Fingerprints cost time: an exploration of every schedule needs none. */
  constructor(
    view: Int32Array,
    private readonly fingerprints: boolean,
  ) {
    this.view = view;
    this.pairs = new BigInt64Array(view.buffer, view.byteOffset, view.length >> 1);
  }

  write(word: number, value: number): void {
    const old = this.view[word]!;
    const { undo } = this;
    undo[this.undone++] = word;
    undo[this.undone++] = old;
    this.view[word] = value;
    if (this.fingerprints) {
      this.low ^= scatter(word, old, 0x2545f491) ^ scatter(word, value, 0x2545f491);
      this.high ^= scatter(word, old, 0x6a09e667) ^ scatter(word, value, 0x6a09e667);
    }
  }

  /** A place to come back to. */
  get mark(): number {
    return this.undone;
  }

  /** Takes back every write since `mark`, the last one first; the caller restores the fingerprint. */
  rollback(mark: number): void {
    const { undo, view } = this;
    let at = this.undone;
    while (at > mark) {
      at -= 2;
      view[undo[at]!] = undo[at + 1]!;
    }
    this.undone = at;
  }
}

/** Spreads a pair of numbers over 32 bits. */
export function scatter(a: number, b: number, seed: number): number {
  let hash = Math.imul(a ^ seed, 0x9e3779b1) ^ Math.imul(b + seed, 0x85ebca77);
  hash = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d);
  hash = Math.imul(hash ^ (hash >>> 12), 0x297a2d39);
  return hash ^ (hash >>> 15);
}
