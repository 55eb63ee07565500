import type { Words } from "../host/words.js";
import { type ExploredMemory, scatter } from "./memory.js";
import { Op, type Performed, WAIT_ENDS } from "./op.js";
import type { Access, Discipline } from "./scenario.js";

/** Thrown at the access at which a thread has to stop. No error: nothing is wrong, and it costs no stack trace. */
export const STOP = Object.freeze({ irqbypassExplorer: "stop" });

export const enum Status {
  /** It can go on. */
  ready = 0,
  /** It sleeps in `wait`. */
  asleep = 1,
  /** It is in `relax`, and nothing that it has looked at has changed. */
  relaxing = 2,
  done = 3,
  dead = 4,
}

/** What the threads of an exploration share. */
export interface Stage {
  memory: ExploredMemory;
  /** Accesses are performed at once and are no steps: in `setup`, and in the checks. */
  readonly direct: boolean;
  readonly discipline: Discipline | undefined;
  readonly relaxPasses: boolean;
  readonly trace: ((performed: Performed) => void) | undefined;
  /** The thread that runs. */
  readonly running: number;
  /** A step of the running thread is complete, and it is about to make another access: may it go on at once? */
  arrived(): boolean;
  /** The running thread has fallen asleep or relaxes: its step is over. */
  paused(): void;
  /** The running thread is about to read (0) or change (1) a guarded word, or to use a word atomically (2). */
  touches(word: number, how: 0 | 1 | 2): void;
  /** The rules are broken: the exploration ends. */
  violated(message: string): void;
  /** Wakes sleepers of a word in the order in which they fell asleep. */
  wake(word: number, count: number): number;
  /** Is that thread not dead? */
  lives(thread: number): boolean;
}

/** A thread that makes more accesses than this goes round for ever. */
const ACCESS_LIMIT = 5_000;

/**
 * One thread's words under exploration. The thread is run from its start again and again: the accesses that it has made
 * are answered from its log, the next one is performed, and at the one after that it is stopped, if another is to go on.
 * A step is one atomic access with the guarded accesses before it: nobody else may touch what those touch.
 */
export class ThreadWords implements Words {
  status: Status = Status.ready;
  /** Accesses made. */
  length = 0;
  /** Fingerprint of the log. */
  low = 0;
  high = 0;
  /** Asleep: on which word, since when among the sleepers, and whether there is a time limit (0 or 1). */
  waitWord = 0;
  waitRank = 0;
  waitTimed = 0;
  /** What the thread's function returned. */
  result: unknown;

  /** The next access to be answered from the log; beyond it while the words are used directly. */
  private cursor = Number.MAX_SAFE_INTEGER;
  /** The atomic access of this step has been made. */
  private spent = false;
  stopped = false;
  /** Writes to guarded words that it may still make before it dies, -1 while it is to live. */
  private dying = -1;
  private elapsed = 0;
  private readonly lastSet = (word: number) => {
    for (let at = this.length - 1; at >= 0; at--) {
      if (this.ops[at] === ((word << 4) | Op.set)) return this.after[at] as number;
    }
    return undefined;
  };
  private readonly ops: number[] = [];
  private readonly results: (number | bigint)[] = [];
  /** What the word held after the access. */
  private readonly after: (number | bigint)[] = [];

  constructor(
    private readonly stage: Stage,
    readonly index: number,
    readonly name: string,
  ) {}

  /** Runs `body` from its start, through the log and one step further (or as far as the stage lets it go). */
  run(body: () => unknown, dying = -1): "stopped" | "done" {
    this.cursor = 0;
    this.spent = false;
    this.stopped = false;
    this.dying = dying;
    this.elapsed = 0;
    try {
      const result = body();
      if (this.stopped) return "stopped";
      if (this.cursor < this.length) this.wander(-1, -1);
      this.result = result;
      return "done";
    } catch (error) {
      if (this.stopped) return "stopped";
      throw error;
    } finally {
      this.cursor = Number.MAX_SAFE_INTEGER;
    }
  }

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
    if (this.stage.memory.view[word] !== now) this.stage.memory.write(word, now);
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
    const now = old === (expected | 0) ? value | 0 : old;
    this.begin(Op.compareExchange, word, now === old ? "read" : "change", value);
    if (now !== old) memory.write(word, now);
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
    this.stage.memory.write64(word, value);
    this.end(Op.store64, word, 0, BigInt.asIntN(64, value), value);
  }

  compareExchange64(word: number, expected: bigint, value: bigint): bigint {
    const logged = this.replay(Op.compareExchange64, word);
    if (logged !== undefined) return logged as bigint;
    this.begin(Op.compareExchange64, word, "wide", 1);
    const { memory } = this.stage;
    const old = memory.pairs[word >> 1]!;
    const hit = old === BigInt.asIntN(64, expected);
    if (hit) memory.write64(word, value);
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

  waitAsync(): Promise<"ok" | "not-equal" | "timed-out"> {
    if (!this.stage.direct) this.stage.violated("waitAsync cannot be explored: use the blocking form");
    return new Promise(() => {}); // in a setup: nobody awaits it
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
    this.append(Op.relax, 0, 0, 0);
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
    if (this.stage.memory.view[word] !== now) this.stage.memory.write(word, now);
    this.end(Op.set, word, 0, now, value);
  }

  /** What a platform's `alive` asks: does thread `index` live? It may die later; it does not come back. */
  probe(index: number): boolean {
    const logged = this.replay(Op.probe, index);
    if (logged !== undefined) return logged === 1;
    this.begin(Op.probe, index, undefined, 0);
    return this.end(Op.probe, index, this.stage.lives(index) ? 1 : 0, 0) === 1;
  }

  /** Ends a sleep: 0 for a wake-up, 2 for a time limit that has passed. */
  wakeUp(code: 0 | 2): void {
    this.status = Status.ready;
    this.append(Op.wait, this.waitWord, code, 0);
  }

  /** Goes on from `relax`. */
  wakeFromRelax(): void {
    this.status = Status.ready;
    this.append(Op.relax, 0, 0, 0);
  }

  /** Has somebody else changed a word that it has looked at since the last `relax`? Also when it has seen that already. */
  sawChange(): boolean {
    const { memory } = this.stage;
    const seen = new Map<number, number | bigint>();
    let at = this.length;
    while (at > 0 && (this.ops[at - 1]! & 15) !== Op.relax) at -= 1;
    for (; at < this.length; at++) {
      const op = this.ops[at]! & 15;
      const word = this.ops[at]! >>> 4;
      if (op === Op.wait || op === Op.notify || op === Op.probe) continue;
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
    if (now !== old) memory.write(word, now);
    return this.end(op, word, old, now, value);
  }

  /** The logged result of the access that is next, undefined if it has not been made yet. */
  private replay(op: Op, word: number): number | bigint | undefined {
    const at = this.cursor;
    if (at >= this.length || this.ops[at] !== ((word << 4) | op)) return undefined;
    this.cursor = at + 1;
    return this.results[at];
  }

  /** Before an atomic access that is not in the log. */
  private begin(op: Op, word: number, access: Access | undefined, value: number): void {
    if (this.stage.direct) return;
    this.goOn(op, word);
    if (this.dying >= 0) this.stop();
    const objection =
      access && this.stage.discipline?.objection(access, word, value, this.index, this.lastSet);
    if (objection !== undefined) this.object(objection);
    this.stage.touches(word, 2);
    this.spent = true;
  }

  /** Before a guarded access that is not in the log. */
  private beginGuarded(op: Op.get | Op.set, word: number, value: number): void {
    if (this.stage.direct) return;
    this.goOn(op, word);
    const changes = op === Op.set && this.stage.memory.view[word] !== (value | 0);
    if (changes && this.dying >= 0 && this.dying-- === 0) this.stop();
    const access = op === Op.set ? "set" : "get";
    const objection = this.stage.discipline?.objection(access, word, value, this.index, this.lastSet);
    if (objection !== undefined) this.object(objection);
    this.stage.touches(word, changes ? 1 : 0);
  }

  private goOn(op: Op, word: number): void {
    if (this.stopped) throw STOP;
    if (this.cursor < this.length) this.wander(op, word);
    if (this.stage.running !== this.index)
      this.object(`the words of ${this.name} are used by another thread`);
    if (!this.spent) return;
    if (!this.stage.arrived()) this.stop();
    this.spent = false;
  }

  /** After an access: keeps it in the log, and returns its result. */
  private end<T extends number | bigint>(
    op: Op,
    word: number,
    result: T,
    after: number | bigint,
    ...operands: (number | bigint)[]
  ): T {
    if (this.stage.direct) return result;
    this.append(op, word, result, after);
    this.stage.trace?.({ thread: this.index, op, word, operands, result });
    return result;
  }

  private append(op: Op, word: number, result: number | bigint, after: number | bigint): void {
    const at = this.length++;
    if (at >= ACCESS_LIMIT)
      this.object(`thread ${this.name} has made ${ACCESS_LIMIT} accesses: does it ever end?`);
    this.cursor = this.length;
    this.ops[at] = (word << 4) | op;
    this.results[at] = result;
    this.after[at] = after;
    const told = typeof result === "bigint" ? Number(BigInt.asIntN(53, result)) | 0 : result;
    const high = typeof result === "bigint" ? Number(BigInt.asIntN(32, result >> 32n)) : 0;
    this.low = scatter(this.low ^ ((word << 4) | op), told ^ high, 0x3c6ef372);
    this.high = scatter(this.high ^ ((word << 4) | op), told + Math.imul(high, 31), 0x510e527f);
  }

  private fallAsleep(word: number, expected: number, timeoutMs: number): void {
    if (this.stage.direct) throw new Error("a setup or a check would sleep for ever");
    this.status = Status.asleep;
    this.waitWord = word;
    this.waitTimed = timeoutMs === Infinity ? 0 : 1;
    this.stage.trace?.({ thread: this.index, op: Op.wait, word, operands: [expected], result: -1 });
    this.pause();
  }

  private pause(): never {
    this.stage.paused();
    this.stop();
  }

  private stop(): never {
    this.stopped = true;
    throw STOP;
  }

  private object(message: string): never {
    this.stage.violated(message);
    this.stop();
  }

  private wander(op: number, word: number): never {
    const logged = this.ops[this.cursor]!;
    this.object(
      `thread ${this.name} does not repeat itself: access ${this.cursor} was operation ${logged & 15} of word ${logged >>> 4}` +
        (op < 0 ? ", and now it returned instead" : `, and now it is operation ${op} of word ${word}`) +
        ": it keeps something outside the shared words (list it in `keeps`), or asks a clock or chance",
    );
  }
}
