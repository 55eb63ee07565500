import { type ExploredMemory, scatter } from "./memory.js";
import { Op } from "./op.js";

/** A thread that makes more accesses than this goes round for ever. */
export const ACCESS_LIMIT = 5_000;

/** The accesses that a thread has made so far, what each answered, and how far a run of the thread has come in them. */
export abstract class Log {
  /** Accesses made. */
  length = 0;
  /** Fingerprint of the log. */
  low = 0;
  high = 0;
  /** The next access to be answered from the log; beyond it while the words are used directly. */
  protected cursor = Number.MAX_SAFE_INTEGER;
  protected readonly ops: number[] = [];
  protected readonly results: (number | bigint)[] = [];
  /** What the word held after the access. */
  private readonly after: (number | bigint)[] = [];

  /** What the thread last wrote to a guarded word. */
  protected readonly lastSet = (word: number): number | undefined => {
    for (let at = this.length - 1; at >= 0; at--) {
      if (this.ops[at] === ((word << 4) | Op.set)) return this.after[at] as number;
    }
    return undefined;
  };

  /** The logged result of the access that is next, undefined if it has not been made yet. */
  protected replay(op: Op, word: number): number | bigint | undefined {
    const at = this.cursor;
    if (at >= this.length || this.ops[at] !== ((word << 4) | op)) return undefined;
    this.cursor = at + 1;
    return this.results[at];
  }

  protected append(op: Op, word: number, result: number | bigint, after: number | bigint): void {
    const at = this.length++;
    this.cursor = this.length;
    this.ops[at] = (word << 4) | op;
    this.results[at] = result;
    this.after[at] = after;
    const told = typeof result === "bigint" ? Number(BigInt.asIntN(53, result)) | 0 : result;
    const high = typeof result === "bigint" ? Number(BigInt.asIntN(32, result >> 32n)) : 0;
    this.low = scatter(this.low ^ ((word << 4) | op), told ^ high, 0x3c6ef372);
    this.high = scatter(this.high ^ ((word << 4) | op), told + Math.imul(high, 31), 0x510e527f);
  }

  /** Has somebody else changed a word that the thread has looked at since the last `relax`, or a thread died that it has seen alive? */
  protected changedSince(memory: ExploredMemory, lives: (thread: number) => boolean): boolean {
    const seen = new Map<number, number | bigint>();
    let at = this.length;
    while (at > 0 && (this.ops[at - 1]! & 15) !== Op.relax) at -= 1;
    for (; at < this.length; at++) {
      const op = this.ops[at]! & 15;
      const word = this.ops[at]! >>> 4;
      if (op === Op.wait || op === Op.notify) continue;
      if (op === Op.probe) {
        if (this.results[at] === 1 && !lives(word)) return true;
        continue;
      }
      const before = seen.get(word);
      const writes = op === Op.store || op === Op.store64 || op === Op.set;
      if (before !== undefined && !writes && this.results[at] !== before) return true;
      seen.set(word, this.after[at]!);
    }
    for (const [word, value] of seen) {
      if ((typeof value === "bigint" ? memory.pairs[word >> 1] : memory.view[word]) !== value) return true;
    }
    return false;
  }
}
