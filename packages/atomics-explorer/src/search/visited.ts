/**
 * The states that were visited, by their 64-bit fingerprint, each with the number of schedules that lead on from it.
 * Two different states with one fingerprint would hide what follows the second: see `missProbability`.
 */
export class Visited {
  size = 0;
  private lows = new Int32Array(1024);
  private highs = new Int32Array(1024);
  private schedules = new Float64Array(1024);
  private killed = new Float64Array(1024);
  /** Number of an entry plus one, by hash. */
  private table = new Int32Array(4096);

  /** The entry of a state, negative (its complement) where it has just been added. */
  enter(low: number, high: number): number {
    const mask = this.table.length - 1;
    let slot = (low ^ Math.imul(high, 0x9e3779b1)) & mask;
    for (;;) {
      const entry = this.table[slot]! - 1;
      if (entry < 0) break;
      if (this.lows[entry] === low && this.highs[entry] === high) return entry;
      slot = (slot + 1) & mask;
    }
    if (this.size === this.lows.length) this.grow();
    const entry = this.size++;
    this.lows[entry] = low;
    this.highs[entry] = high;
    if (mask + 1 === this.table.length) this.table[slot] = entry + 1;
    else this.place(entry);
    return ~entry;
  }

  /** Keeps how many schedules lead on from a state, and how many of them kill a thread. */
  settle(entry: number, schedules: number, killed: number): void {
    this.schedules[entry] = schedules;
    this.killed[entry] = killed;
  }

  schedulesOf(entry: number): number {
    return this.schedules[entry]!;
  }

  killedOf(entry: number): number {
    return this.killed[entry]!;
  }

  /** How likely it is that any two of the states share a fingerprint (the birthday bound). */
  get missProbability(): number {
    return this.size ** 2 / 2 ** 65;
  }

  private grow(): void {
    const capacity = this.lows.length * 2;
    this.lows = copyInto(new Int32Array(capacity), this.lows);
    this.highs = copyInto(new Int32Array(capacity), this.highs);
    this.schedules = copyInto(new Float64Array(capacity), this.schedules);
    this.killed = copyInto(new Float64Array(capacity), this.killed);
    this.table = new Int32Array(capacity * 4);
    for (let entry = 0; entry < this.size; entry++) this.place(entry);
  }

  private place(entry: number): void {
    const mask = this.table.length - 1;
    let slot = (this.lows[entry]! ^ Math.imul(this.highs[entry]!, 0x9e3779b1)) & mask;
    while (this.table[slot] !== 0) slot = (slot + 1) & mask;
    this.table[slot] = entry + 1;
  }
}

function copyInto<T extends Int32Array | Float64Array>(into: T, from: T): T {
  into.set(from);
  return into;
}
