import { broken, IrqBypassError } from "./errors.js";
import type { Words } from "./words.js";

/**
 * Bit 0 of a mutex word; the bits above hold the owner's thread number plus one, 0 while it is free. Its states, and who
 * takes it from which to which: `scenarios/states/mutex.ts`.
 */
const WAITERS = 1;
/** A sleeping waiter looks again this often, because an owner or the waiter woken before it may have died. */
const PROBE_MS = 100;

/** What a mutex asks of the thread that takes it. */
export interface MutexThread {
  /** The thread's number plus one: not 0, below 2^30. */
  readonly lockId: number;
  /** Has it left the host? Then its id may be another thread's, and it takes no mutex any more. */
  readonly left?: boolean;
  /** May it sleep? A browser's main thread may not. */
  readonly mayBlock: boolean;
  /** May the call that it makes have changed something? Then that goes through: refused now, it would be half done. */
  begun?: boolean;
  /** Looks for a while, until `look` says that it has what it waits for; false if it is to sleep, or to give up. */
  spin(look: () => boolean): boolean;
  /** Sleeps while the word holds `expected`. */
  park(word: number, expected: number, timeoutMs: number): "ok" | "not-equal" | "timed-out";
  /** The callback of a kind that it is in. */
  readonly callback?: string | undefined;
  /** Is it proven that this thread has ended? Asked when a mutex has been waited for in vain. */
  isGone(lockId: number): boolean;
}

/** How far code that takes a mutex by its word has got with it: results that are no references. */
export const enum Tried {
  /** It has not tried. */
  not = -1,
  /** Somebody has the mutex. */
  busy = -2,
  /** It has the mutex, and leaves to the caller what it is for. */
  held = -3,
}

/**
 * A futex on one shared word, which holds the owner and whether anybody sleeps. There is no separate owner
 * field: a word that says two things at once cannot disagree with itself when its owner dies.
 */
export class Mutex {
  constructor(
    private readonly words: Words,
    private readonly word: number,
    private readonly thread: MutexThread,
    readonly name: string,
    /** Repairs what the mutex guards, held by the caller, after the thread with this lock id died while it held it. */
    private readonly heal: (dead: number) => void,
  ) {}

  /**
   * Runs `section` while holding the mutex. Blocks; from a thread that may not block it tries for a while and
   * then throws EAGAIN, if its call can have changed nothing yet. Throws EDEADLK when the thread holds the mutex already, that is
   * from a callback. Goes on from where somebody who has `tried` has left off.
   */
  guard<T>(section: () => T, tried: Tried = Tried.not): T {
    if (tried === Tried.busy) this.lockSlowly(this.thread.lockId << 1);
    else if (tried !== Tried.held) this.lock();
    this.thread.begun = true;
    try {
      return section();
    } finally {
      this.unlock();
    }
  }

  /**
   * The same for a section that takes another mutex before it changes anything: where that is refused to a thread that may
   * not block, nothing has been done.
   */
  enclose<T>(section: () => T): T {
    this.lock();
    try {
      return section();
    } finally {
      this.unlock();
    }
  }

  /**
   * The same, unless `over` says before that there is nothing left to be done: then it has not taken the mutex, and returns undefined.
   * `over` is asked without the mutex, and holds for good once it does.
   */
  encloseUnless<T>(over: () => boolean, section: () => T): T | undefined {
    if (!this.lock(over)) return undefined;
    try {
      return section();
    } finally {
      this.unlock();
    }
  }

  /** Does the calling thread hold it? */
  held(): boolean {
    return this.words.load(this.word) >> 1 === this.thread.lockId;
  }

  /** The lock id of the thread that holds it, 0 while nobody does. */
  get owner(): number {
    return this.words.load(this.word) >> 1;
  }

  /**
   * Takes the mutex if it is free, and returns whether it did: for a tool that holds many at once. Everybody else uses
   * {@link guard}. Waits for nobody.
   */
  take(): boolean {
    this.checkLeft();
    return tryLock(this.words, this.word, this.thread.lockId << 1);
  }

  /** The mirror image of {@link take}. */
  give(): void {
    this.unlock();
  }

  /** Returns whether it has taken it: not where it was `over` before. */
  private lock(over?: () => boolean): boolean {
    this.checkLeft();
    const mine = this.thread.lockId << 1;
    return tryLock(this.words, this.word, mine) || this.lockSlowly(mine, over);
  }

  private checkLeft(): void {
    if (this.thread.left !== true) return;
    throw new IrqBypassError(
      "EBADF",
      "the host was disposed in this thread: attach to it again with Host.attach",
    );
  }

  private lockSlowly(mine: number, over = () => false): boolean {
    const { words, word, thread } = this;
    if (this.held() || thread.callback !== undefined) throw deadlock(this.name, thread.callback);
    let taken = false;
    const look = () => {
      taken = words.load(word) === 0 && words.compareExchange(word, 0, mine) === 0;
      return taken || over();
    };
    if (thread.spin(look)) return taken;
    if (!thread.mayBlock) {
      this.lockAwake(mine);
      return true;
    }
    for (;;) {
      if (over()) {
        words.notify(word, 1); // it may have been this thread that the last unlock woke, and no other
        return false;
      }
      // Whoever slept takes the mutex with the waiters bit set: others may still sleep, and nobody counts them.
      const held = words.compareExchange(word, 0, mine | WAITERS);
      if (held === 0) return true;
      // The bit must be there before sleeping, or the owner's unlock would not wake anybody.
      if ((held & WAITERS) === 0 && words.compareExchange(word, held, held | WAITERS) !== held) continue;
      if (thread.park(word, held | WAITERS, PROBE_MS) !== "timed-out") continue;
      if (thread.isGone(held >> 1) && this.takeOver(held >> 1, mine)) return true;
    }
  }

  /**
   * For a thread that may not sleep, and has looked for a while: it is refused, or looks on where its call has begun. Of an owner that
   * has died it takes the mutex in either case.
   */
  private lockAwake(mine: number): void {
    const { words, word, thread } = this;
    do {
      const owner = words.load(word) >> 1;
      if (owner !== 0 && thread.isGone(owner) && this.takeOver(owner, mine)) return;
      if (thread.begun !== true) throw new BusyError(this.name);
    } while (!thread.spin(() => words.load(word) === 0 && words.compareExchange(word, 0, mine) === 0));
  }

  /** Takes the mutex from a thread that is gone, where that holds it, repairs what it guards, and unlocks. */
  recover(dead: number): void {
    if (this.takeOver(dead, this.thread.lockId << 1)) this.unlock();
  }

  /**
   * Takes the mutex from an owner that is gone, and repairs what it guards. False where it has another owner by now: a
   * thread may have unlocked before it ended. Lock ids are not used again, so this is not another thread's.
   */
  private takeOver(dead: number, mine: number): boolean {
    const { words, word } = this;
    for (;;) {
      const held = words.load(word);
      if (held >> 1 !== dead) return false;
      if (words.compareExchange(word, held, mine | WAITERS) === held) break;
      words.relax();
    }
    try {
      this.heal(dead);
    } catch (error) {
      this.unlock();
      throw error;
    }
    return true;
  }

  private unlock(): void {
    if (unlock(this.words, this.word) !== this.thread.lockId)
      broken(`${this.name} was unlocked by thread ${this.thread.lockId}, not its owner`);
  }
}

/**
 * The refusal of a call by a thread that may not block, with nothing changed: a mutex was busy, or another thread in the middle of
 * something, and the same call may go through later.
 */
export class BusyError extends IrqBypassError {
  constructor(subject: string, how = "is busy") {
    const text = `${subject} ${how} and this thread may not block: await host.whenFree(() => ...) makes the call when it is free`;
    super("EAGAIN", text, { subject });
  }
}

/** The refusal of a call that would wait for the very thread that makes it. */
export function deadlock(held: string, callback?: string): IrqBypassError {
  const where = callback === undefined ? "" : `, which runs the callback ${callback}`;
  return new IrqBypassError(
    "EDEADLK",
    `${held} is held by this very thread${where}: call this after the callback`,
    { subject: held },
  );
}

/** Takes the mutex of this word if it is free, and returns whether it did. `mine` is the lock id, shifted past the waiters bit. */
export function tryLock(words: Words, word: number, mine: number): boolean {
  return words.compareExchange(word, 0, mine) === 0;
}

/** The mirror image: gives it back, and wakes one who sleeps. Returns the lock id that held it. */
export function unlock(words: Words, word: number): number {
  const held = words.exchange(word, 0);
  if (held & WAITERS) words.notify(word, 1);
  return held >> 1;
}
