import { ACCESS_LIMIT, Log } from "./log.js";
import { BLOCKED, Op, SLEEPS, WAIT_ENDS } from "./op.js";
import type { Access } from "./scenario.js";
import { STOP, type Stage, Status } from "./stage.js";
import type { Words } from "./words.js";

/** How a run of a thread ends: it goes on later, or it has come to its end. */
export type Outcome = "stopped" | "done";

const NEVER: Promise<never> = new Promise(() => {});

/**
 * One thread's words under exploration. The thread is run from its start again and again: the accesses that it has made
 * are answered from its log, the next one is performed, and at the one after that it is stopped, if another is to go on.
 * A step is one atomic access with the guarded accesses before it: nobody else may touch what those touch.
 */
export class ThreadWords extends Log implements Words {
  status: Status = Status.ready;
  /** Asleep: on which word, since when among the sleepers, and whether there is a time limit (0 or 1). */
  waitWord = 0;
  waitRank = 0;
  waitTimed = 0;
  /** What the thread's function returned. */
  result: unknown;

  /** The atomic access of this step has been made. */
  private spent = false;
  stopped = false;
  /** It sleeps in `waitAsync`, in this run: its promise will not be settled. */
  private sleepsAsync = false;
  /** Ends the run of an async body that has fallen asleep. */
  private leave = () => {};
  /** Writes to guarded words that it may still make before it dies, -1 while it is to live. */
  private dying = -1;
  private elapsed = 0;
  constructor(
    private readonly stage: Stage,
    readonly index: number,
    readonly name: string,
  ) {
    super();
  }

  get isAsleep(): boolean {
    return this.status === Status.asleep;
  }

  /**
   * Runs `body` from its start, through the log and one step further (or as far as the stage lets it go). An async body is
   * over when its promise is settled, or when it sleeps: nothing else may run until then.
   */
  run(body: () => unknown, dying = -1): Outcome | Promise<Outcome> {
    this.cursor = 0;
    this.spent = false;
    this.stopped = false;
    this.sleepsAsync = false;
    this.leave = () => {};
    this.dying = dying;
    this.elapsed = 0;
    let result: unknown;
    try {
      result = body();
    } catch (error) {
      return this.failed(error);
    }
    return result instanceof Promise ? this.settled(result) : this.ended(result);
  }

  private ended(result: unknown): Outcome {
    try {
      if (!this.stopped && this.cursor < this.length) this.wander(-1, -1);
    } catch (error) {
      return this.failed(error);
    }
    this.cursor = Number.MAX_SAFE_INTEGER;
    if (this.stopped) return "stopped";
    this.result = result;
    return "done";
  }

  private failed(error: unknown): Outcome {
    this.cursor = Number.MAX_SAFE_INTEGER;
    if (this.stopped) return "stopped";
    throw error;
  }

  /** The promise of a body that sleeps is never settled, and dropped. */
  private settled(result: Promise<unknown>): Promise<Outcome> {
    return new Promise((resolve, reject) => {
      this.leave = () => resolve(this.ended(undefined));
      if (this.sleepsAsync) this.leave();
      result
        .then(
          (value) => this.ended(value),
          (error: unknown) => this.failed(error),
        )
        .then(resolve, reject);
    });
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
    if (old !== 0 && expected === 0 && !this.stage.direct && this.stage.assumes(word)) this.block(word);
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
    this.keep(Op.wait, this.waitWord, code, 0);
  }

  /** Is the mutex free that it waits for? */
  sawMutexFree(): boolean {
    return this.stage.memory.view[this.waitWord] === 0;
  }

  /** Goes on from `relax`. */
  wakeFromRelax(): void {
    this.status = Status.ready;
    this.keep(Op.relax, 0, 0, 0);
  }

  /** Has somebody else changed a word that it has looked at since the last `relax`? Also when it has seen that already. */
  sawChange(): boolean {
    return this.changedSince(this.stage.memory);
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

  /** Before an atomic access that is not in the log; without `access` it is none of a word, but a question to the platform. */
  private begin(op: Op, word: number, access: Access | undefined, value: number): void {
    if (this.stage.direct) return;
    this.goOn(op, word);
    if (this.dying >= 0) this.stop();
    const objection =
      access && this.stage.discipline?.objection(access, word, value, this.index, this.lastSet);
    if (objection !== undefined) this.object(objection);
    if (access !== undefined) this.stage.touches(word, 2);
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
    if (this.stage.running !== this.index)
      this.object(`the words of ${this.name} are used by another thread`);
    if (this.sleepsAsync)
      this.object(
        `${this.name} goes on while it waits: of an async thread only one thing at a time is explored`,
      );
    if (this.stopped) throw STOP;
    if (this.cursor < this.length) this.wander(op, word);
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
    this.keep(op, word, result, after);
    this.stage.trace?.({ thread: this.index, op, word, operands, result });
    return result;
  }

  private keep(op: Op, word: number, result: number | bigint, after: number | bigint): void {
    // No throw: it may be a wake-up, for which the thread's code does not run.
    if (this.length >= ACCESS_LIMIT)
      this.stage.violated(`thread ${this.name} has made ${ACCESS_LIMIT} accesses: does it ever end?`);
    this.append(op, word, result, after);
  }

  private fallAsleep(word: number, expected: number, timeoutMs: number): never {
    if (this.stage.direct) throw new Error("a setup or a check would sleep for ever");
    this.sleep(word, expected, timeoutMs);
    throw STOP;
  }

  private sleep(word: number, expected: number, timeoutMs: number): void {
    this.status = Status.asleep;
    this.waitWord = word;
    this.waitTimed = timeoutMs === Infinity ? 0 : 1;
    this.stage.trace?.({ thread: this.index, op: Op.wait, word, operands: [expected], result: SLEEPS });
    this.stage.paused();
    this.stopped = true;
  }

  /** Waits for a mutex without taking it: that is a step of its own, and leaves nothing in the log. */
  private block(word: number): never {
    this.goOn(Op.compareExchange, word);
    this.status = Status.blocked;
    this.waitWord = word;
    this.stage.trace?.({ thread: this.index, op: Op.wait, word, operands: [], result: BLOCKED });
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
