import type { HostHandle } from "irqbypass";

/** A host as a thread attaches to it, and which kinds it has. */
export interface Attached {
  readonly host: HostHandle;
  readonly kinds: "none" | "linux" | "kvm";
}

/** What the other thread is told. */
export interface BesideWork {
  readonly words: Int32Array;
  /** Of the host that the eventfds belong to; undefined where they are bare descriptors. */
  readonly host: Attached | undefined;
}

export const enum BesideWord {
  ready = 0,
  /** The round that is on, from 1; -1 says that it is over. */
  round = 1,
  /** The last round that the other thread has come to, and the last one with which it is through. */
  begun = 2,
  done = 3,
  /** The other thread waits up to so many microseconds before it does its part. */
  span = 4,
  /** What it does in this round, of several things. */
  play = 5,
  /** To what it does that, in two words: a descriptor, or a handle of the host. */
  target = 6,
  words = 8,
}

/** The rounds of the other thread: calls `play` in each, at some moment of what this thread does meanwhile. */
export function playRounds(
  { words }: BesideWork,
  pick: (limit: number) => number,
  prepare: (target: number, play: number) => () => void,
): void {
  Atomics.store(words, BesideWord.ready, 1);
  for (let last = 0; ; ) {
    const round = Atomics.load(words, BesideWord.round);
    if (round < 0) return;
    if (round === last) continue;
    last = round;
    const high = Atomics.load(words, BesideWord.target + 1);
    const target = high * 2 ** 32 + (Atomics.load(words, BesideWord.target) >>> 0);
    const play = prepare(target, Atomics.load(words, BesideWord.play));
    const waits = pick(1 + Atomics.load(words, BesideWord.span)) / 1000;
    Atomics.store(words, BesideWord.begun, round);
    for (const began = performance.now(); performance.now() - began < waits; );
    play();
    Atomics.store(words, BesideWord.done, round);
  }
}
