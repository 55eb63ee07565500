import type { Discipline } from "./discipline.js";
import type { ExploredMemory } from "./memory.js";
import type { Performed } from "./op.js";
import type { Touch } from "./touch.js";

/** Thrown at the access at which a thread has to stop. No error: nothing is wrong, and it costs no stack trace. */
export const STOP = Object.freeze({ atomicsExplorer: "stop" });

export const enum Status {
  /** It can go on. */
  ready = 0,
  /** It sleeps in `wait`. */
  asleep = 1,
  /** It is in `relax`, and nothing that it has looked at has changed. */
  relaxing = 2,
  done = 3,
  dead = 4,
  /** It waits for a mutex that is assumed to work. */
  blocked = 5,
}

/** What the threads of an exploration share. */
export interface Stage {
  memory: ExploredMemory;
  /** Accesses are performed at once and are no steps: in `setup`, and in the checks. */
  readonly direct: boolean;
  readonly discipline: Discipline | undefined;
  readonly relaxPasses: boolean;
  /** Is it the word of a mutex that is assumed to work? */
  assumes(word: number): boolean;
  readonly trace: ((performed: Performed) => void) | undefined;
  /** The thread that runs. */
  readonly running: number;
  /** A step of the running thread is complete, and it is about to make another access: may it go on at once? */
  arrived(): boolean;
  /** The running thread has fallen asleep or relaxes: its step is over. */
  paused(): void;
  /** The running thread is about to read (0) or change (1) a guarded word, or to use a word atomically (2). */
  touches(word: number, how: Touch): void;
  /** Why the running thread must not change a word so, or undefined. */
  transition(thread: number, word: number, before: number, after: number): string | undefined;
  /** The rules are broken: the exploration ends. */
  violated(message: string): void;
  /** Wakes sleepers of a word in the order in which they fell asleep. */
  wake(word: number, count: number): number;
  /** Is that thread not dead? */
  lives(thread: number): boolean;
}
