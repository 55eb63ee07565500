import { Op, WAIT_ENDS } from "./op.js";
import { Run } from "./run.js";
import { STOP, Status } from "./stage.js";
import type { Words } from "./words.js";

const NEVER: Promise<never> = new Promise(() => {});

/** One thread's words under exploration: each access is answered from the log, or performed as a part of a step. */
export class ThreadWords extends Run implements Words {
  load(word: number): number {
    const at = this.cursor;
    if (at < this.length && this.ops[at] === ((word << 4) | Op.load)) {
      this.cursor = at + 1;
      return this.results[at] as number;
    }
    this.begin(Op.load, word, "read", 0);
    const value = this.stage.memory.view[word]!;
    return this.end(Op.load, word, value, value);
  }

  store(word: number, value: number): void {
    const at = this.cursor;
    if (at < this.length && this.ops[at] === ((word << 4) | Op.store)) {
      this.cursor = at + 1;
      return;
    }
    this.begin(Op.store, word, "change", value);
    const now = value | 0;
    this.change(word, now);
    this.end(Op.store, word, 0, now, value);
  }

  or(word: number, value: number): number {
    return this.modify(Op.or, word, value);
  }
  and(word: number, value: number): number {
    return this.modify(Op.and, word, value);
  }
  add(word: number, value: number): number {
    return this.modify(Op.add, word, value);
  }
  exchange(word: number, value: number): number {
    return this.modify(Op.exchange, word, value);
  }

  compareExchange(word: number, expected: number, value: number): number {
    const at = this.cursor;
    if (at < this.length && this.ops[at] === ((word << 4) | Op.compareExchange)) {
      this.cursor = at + 1;
      return this.results[at] as number;
    }
    const { memory } = this.stage;
    const old = memory.view[word]!;
    if (old !== 0 && expected === 0 && !this.stage.direct && this.stage.assumes(word)) this.block(word);
    const now = old === (expected | 0) ? value | 0 : old;
    this.begin(Op.compareExchange, word, now === old ? "read" : "change", value);
    this.change(word, now);
    return this.end(Op.compareExchange, word, old, now, expected, value);
  }

  load64(word: number): bigint {
    const logged = this.replay(Op.load64, word);
    if (logged !== undefined) return logged as bigint;
    this.begin(Op.load64, word, "wide", 0);
    const value = this.stage.memory.pairs[word >> 1]!;
    return this.end(Op.load64, word, value, value);
  }

  store64(word: number, value: bigint): void {
    if (this.replay(Op.store64, word) !== undefined) return;
    this.begin(Op.store64, word, "wide", 1);
    this.change64(word, value);
    this.end(Op.store64, word, 0, BigInt.asIntN(64, value), value);
  }

  compareExchange64(word: number, expected: bigint, value: bigint): bigint {
    const logged = this.replay(Op.compareExchange64, word);
    if (logged !== undefined) return logged as bigint;
    this.begin(Op.compareExchange64, word, "wide", 1);
    const { memory } = this.stage;
    const old = memory.pairs[word >> 1]!;
    const hit = old === BigInt.asIntN(64, expected);
    if (hit) this.change64(word, value);
    const now = hit ? BigInt.asIntN(64, value) : old;
    return this.end(Op.compareExchange64, word, old, now, expected, value);
  }

  wait(word: number, expected: number, timeoutMs: number): "ok" | "not-equal" | "timed-out" {
    let code = this.replay(Op.wait, word) as number | undefined;
    if (code === undefined) {
      this.begin(Op.wait, word, "read", 0);
      const value = this.stage.memory.view[word]!;
      if (value === (expected | 0)) this.fallAsleep(word, expected, timeoutMs);
      code = this.end(Op.wait, word, 1, value, expected);
    }
    if (code === 2) this.elapsed += timeoutMs;
    return WAIT_ENDS[code]!;
  }

  waitAsync(word: number, expected: number, timeoutMs: number): Promise<"ok" | "not-equal" | "timed-out"> {
    let code = this.replay(Op.wait, word) as number | undefined;
    if (code === undefined) {
      if (this.stage.direct) return NEVER; // in a setup: nobody awaits it
      this.begin(Op.wait, word, "read", 0);
      const value = this.stage.memory.view[word]!;
      if (value === (expected | 0)) {
        this.sleep(word, expected, timeoutMs);
        this.sleepsAsync = true;
        this.leave();
        return NEVER;
      }
      code = this.end(Op.wait, word, 1, value, expected);
    }
    if (code === 2) this.elapsed += timeoutMs;
    return Promise.resolve(WAIT_ENDS[code]!);
  }

  notify(word: number, count = Infinity): number {
    const logged = this.replay(Op.notify, word);
    if (logged !== undefined) return logged as number;
    this.begin(Op.notify, word, "read", 0);
    const woken = this.stage.direct ? 0 : this.stage.wake(word, count);
    return this.end(Op.notify, word, woken, this.stage.memory.view[word]!, count);
  }

  relax(): void {
    if (this.replay(Op.relax, 0) !== undefined || this.stage.direct) return;
    if (this.stopped) throw STOP;
    if (!this.stage.relaxPasses && !this.sawChange()) {
      this.status = Status.relaxing;
      this.pause();
    }
    this.keep(Op.relax, 0, 0, 0);
  }

  clock(): number {
    return this.elapsed;
  }

  get(word: number): number {
    const at = this.cursor;
    if (at < this.length && this.ops[at] === ((word << 4) | Op.get)) {
      this.cursor = at + 1;
      return this.results[at] as number;
    }
    this.beginGuarded(Op.get, word, 0);
    const value = this.stage.memory.view[word]!;
    return this.end(Op.get, word, value, value);
  }

  set(word: number, value: number): void {
    const at = this.cursor;
    if (at < this.length && this.ops[at] === ((word << 4) | Op.set)) {
      this.cursor = at + 1;
      return;
    }
    this.beginGuarded(Op.set, word, value);
    const now = value | 0;
    this.change(word, now);
    this.end(Op.set, word, 0, now, value);
  }

  /** What a platform's `alive` asks: does thread `index` live? It may die later; it does not come back. */
  probe(index: number): boolean {
    const logged = this.replay(Op.probe, index);
    if (logged !== undefined) return logged === 1;
    this.begin(Op.probe, index, undefined, 0);
    return this.end(Op.probe, index, this.stage.lives(index) ? 1 : 0, 0) === 1;
  }

  private modify(op: Op.or | Op.and | Op.add | Op.exchange, word: number, value: number): number {
    const at = this.cursor;
    if (at < this.length && this.ops[at] === ((word << 4) | op)) {
      this.cursor = at + 1;
      return this.results[at] as number;
    }
    const { memory } = this.stage;
    const old = memory.view[word]!;
    let now = value | 0;
    if (op === Op.or) now = old | value;
    else if (op === Op.and) now = old & value;
    else if (op === Op.add) now = (old + value) | 0;
    this.begin(op, word, now === old ? "read" : "change", value);
    this.change(word, now);
    return this.end(op, word, old, now, value);
  }
}
