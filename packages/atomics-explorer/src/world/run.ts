import type { Access } from "./discipline.js";
import { ACCESS_LIMIT, Log } from "./log.js";
import { BLOCKED, Op, SLEEPS } from "./op.js";
import { STOP, type Stage, Status } from "./stage.js";

/** How a run of a thread ends: it goes on later, or it has come to its end. */
export type Outcome = "stopped" | "done";

/**
 * How one thread goes on under exploration. It is run from its start again and again: the accesses that it has made
 * are answered from its log, the next one is performed, and at the one after that it is stopped, if another is to go on.
 * A step is one atomic access with the guarded accesses before it: nobody else may touch what those touch.
 */
export abstract class Run extends Log {
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
  protected sleepsAsync = false;
  /** Ends the run of an async body that has fallen asleep. */
  protected leave = () => {};
  /** Writes to guarded words that it may still make before it dies, -1 while it is to live. */
  private dying = -1;
  protected elapsed = 0;
  constructor(
    protected readonly stage: Stage,
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

  /** As {@link changedSince}, now; also when it has seen that already. */
  sawChange(): boolean {
    return this.changedSince(this.stage.memory, (thread) => this.stage.lives(thread));
  }

  /** Before an atomic access that is not in the log; without `access` it is none of a word, but a question to the platform. */
  protected begin(op: Op, word: number, access: Access | undefined, value: number): void {
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
  protected beginGuarded(op: Op.get | Op.set, word: number, value: number): void {
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

  /** The write of an access, where it changes the word and the rules have nothing against that. */
  protected change(word: number, after: number): void {
    const { stage, index } = this;
    const before = stage.memory.view[word]!;
    if (before === after) return;
    const objection = stage.direct ? undefined : stage.transition(index, word, before, after);
    if (objection !== undefined) this.object(objection);
    stage.memory.write(word, after);
  }

  /** The same for a pair of words. */
  protected change64(word: number, after: bigint): void {
    this.change(word, Number(BigInt.asIntN(32, after)));
    this.change(word + 1, Number(BigInt.asIntN(32, after >> 32n)));
  }

  /** After an access: keeps it in the log, and returns its result. */
  protected end<T extends number | bigint>(
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

  protected keep(op: Op, word: number, result: number | bigint, after: number | bigint): void {
    // No throw: it may be a wake-up, for which the thread's code does not run.
    if (this.length >= ACCESS_LIMIT)
      this.stage.violated(`thread ${this.name} has made ${ACCESS_LIMIT} accesses: does it ever end?`);
    this.append(op, word, result, after);
  }

  protected fallAsleep(word: number, expected: number, timeoutMs: number): never {
    if (this.stage.direct) throw new Error("a setup or a check would sleep for ever");
    this.sleep(word, expected, timeoutMs);
    throw STOP;
  }

  protected sleep(word: number, expected: number, timeoutMs: number): void {
    this.status = Status.asleep;
    this.waitWord = word;
    this.waitTimed = timeoutMs === Infinity ? 0 : 1;
    this.stage.trace?.({ thread: this.index, op: Op.wait, word, operands: [expected], result: SLEEPS });
    this.stage.paused();
    this.stopped = true;
  }

  /** Waits for a mutex without taking it: that is a step of its own, and leaves nothing in the log. */
  protected block(word: number): never {
    this.goOn(Op.compareExchange, word);
    this.status = Status.blocked;
    this.waitWord = word;
    this.stage.trace?.({ thread: this.index, op: Op.wait, word, operands: [], result: BLOCKED });
    this.pause();
  }

  protected pause(): never {
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
