import { once } from "node:events";
import { Worker } from "node:worker_threads";
import type { Role } from "./role.js";

/** Words that a contestant and the thread beside it share, each on a line of its own. */
export const Word = { mode: 0, ack: 16, ready: 32, ping: 48, pong: 64, stamp: 80, words: 96 } as const;

/** The 64-bit word in which the other thread notes when it was woken, by the one clock of `process.hrtime`. */
export function stampOf({ buffer }: Int32Array<SharedArrayBuffer>): BigInt64Array {
  return new BigInt64Array(buffer, Word.stamp * 4, 1);
}

/** What the other thread is to do; it sleeps while it is idle. */
export const Mode = { idle: 0, busy: 1 } as const;

export interface PeerData {
  readonly role: Role;
  readonly words: Int32Array<SharedArrayBuffer>;
  readonly data: unknown;
}

/** Another thread of a contestant. */
export interface Peer {
  readonly words: Int32Array<SharedArrayBuffer>;
  readonly worker: Worker;
  /** Lets it go to work; returns at once. */
  work(): void;
  /** Sends it back to sleep; it finishes what it is in the middle of. */
  rest(): void;
}

/** Starts a thread in one of the roles of `threads/peer.ts`; resolves when it is ready, and idle. */
export async function startPeer(role: Role, data: unknown = {}): Promise<Peer> {
  const words = new Int32Array(new SharedArrayBuffer(Word.words * 4));
  const worker = new Worker(new URL("../threads/peer.js", import.meta.url), {
    workerData: { role, words, data } satisfies PeerData,
  });
  await once(worker, "message"); // an error of the thread rejects this
  worker.unref();
  return {
    words,
    worker,
    work() {
      Atomics.store(words, Word.mode, Mode.busy);
      Atomics.notify(words, Word.mode);
    },
    rest() {
      Atomics.store(words, Word.mode, Mode.idle);
    },
  };
}

/** Spins until a word holds another value than `old`; throws after ten seconds, since something hangs then. */
export function spinWhile(words: Int32Array, word: number, old: number): number {
  for (let looks = 1; ; looks++) {
    const value = Atomics.load(words, word);
    if (value !== old) return value;
    if (looks % 2 ** 26 === 0) looks = checkPatience(looks);
  }
}

function checkPatience(looks: number): number {
  if (looks >= 2 ** 32) throw new Error("the other thread does not answer");
  return looks;
}

/** Spins until `done` says so; throws after some seconds of it. */
export function spinUntil(done: () => boolean): void {
  const end = performance.now() + 10_000;
  for (let looks = 1; !done(); looks++) {
    if (looks % 65536 === 0 && performance.now() > end) throw new Error("the other thread does not answer");
  }
}

/**
 * Lets a thread that has said that it is about to sleep fall asleep, for so long that its core is asleep too: Linux in
 * a virtual machine looks for work for another 50 us or so before it halts, and a wake-up in that time costs less.
 */
export function letSleep(): void {
  pause(250);
}

/** Keeps the processor busy for so many microseconds. */
export function pause(us: number): void {
  const end = performance.now() + us / 1000;
  while (performance.now() < end);
}
