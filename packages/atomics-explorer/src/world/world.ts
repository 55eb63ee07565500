import type { Discipline } from "./discipline.js";
import type { Words } from "./words.js";

/** What a scenario's `setup` builds its memory and threads with. */
export interface World {
  /** A memory of so many 32-bit words, all 0, for code that brings none of its own. `names` says what to call its words in charts. */
  memory(words: number, names?: readonly string[]): void;
  /** The way to the memory for one thread; the name is that of the thread. */
  words(thread: string): Words;
  /** Takes a memory that something else has made, such as the code under test, and gives the way to it for one thread. */
  adopt(thread: string, buffer: SharedArrayBuffer, byteOffset: number, length: number): Words;
  /** One thread by its name: which it is, and who lives. */
  thread(name: string): WorldThread;
  /** The rules for accesses, and the names of words. */
  discipline: Discipline | undefined;
}

/** A thread as code under exploration may ask about it. */
export interface WorldThread {
  /** Its place among the threads, from 0, in the order in which the setup named them. */
  readonly index: number;
  /**
   * Does the thread of this index live? The question is a step, since the answer changes when that thread dies; in a check,
   * and in `Discipline.transition`, it is none.
   */
  alive(index: number): boolean;
}
