/**
 * The lock that a thread has for its life, where nothing else proves its end: in a page, a Web Lock. Attaching is one call and a lock
 * comes later, so a thread has first asked for it and then has it; only from then on does the lock's coming free prove anything.
 */
import { Header, LifeLock, Thread } from "./layout.js";
import type { ThreadLocks } from "./platform.js";
import type { Words } from "./words.js";

/** What the lock of the thread is called that has this record in this life of it. Hosts have ids that are drawn at random. */
export function lockName(words: Words, record: number, life: number): string {
  return `irqbypass ${words.get(Header.id)}-${record}-${life >>> 0}`;
}

/** {@link Thread.lock} of a thread in this life of its record. */
export function lockWord(life: number, state: LifeLock): number {
  return (life << LifeLock.bits) | state;
}

/** The lock of the calling thread. */
export interface OwnLock {
  /** Resolves when the thread has it: true; false when it was given back before that. */
  readonly held: Promise<boolean>;
  /** Gives it back, when the record is another life's: who waits for the lock takes it for the end of this one otherwise. */
  release(): void;
}

/** Asks for the calling thread's lock. */
export function askForLock(words: Words, locks: ThreadLocks, record: number): OwnLock {
  const life = words.load(record + Thread.life);
  let settle = (_held: boolean): void => {};
  const held = new Promise<boolean>((resolve) => {
    settle = resolve;
  });
  words.store(record + Thread.lock, lockWord(life, LifeLock.asked));
  const stop = locks.request(lockName(words, record, life), "exclusive", () => {
    sayHeld(words, record, life);
    settle(true);
  });
  ring(words); // a thread that blocks from here on never says that it has it: whoever hears this asks the platform
  return {
    held,
    release() {
      stop();
      settle(false);
    },
  };
}

/** The thread of a record has its lock: it says so itself, or whoever has seen that. Nothing where the thread is another one by now. */
export function sayHeld(words: Words, record: number, life: number): void {
  const asked = lockWord(life, LifeLock.asked);
  const seen = words.compareExchange(record + Thread.lock, asked, lockWord(life, LifeLock.held));
  if (seen === asked) ring(words);
}

/** Has the thread of this record its lock, as far as anybody knows? */
export function lockOf(words: Words, record: number): LifeLock {
  const said = words.load(record + Thread.lock);
  const mine = words.load(record + Thread.life) << LifeLock.bits;
  return (said ^ mine) >> LifeLock.bits === 0 ? said & (LifeLock.asked | LifeLock.held) : LifeLock.none;
}

/** Wakes whoever waits for the ends of threads: there is something to look at. */
export function ring(words: Words): void {
  words.add(Header.locks, 1);
  words.notify(Header.locks);
}
