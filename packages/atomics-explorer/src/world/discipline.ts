/** Says what a word is, and whether an access to it keeps the rules. */
export interface Discipline {
  /** What to call a word in a chart. */
  name(word: number): string;
  /** Is it the word of a mutex, 0 while that is free? */
  isMutex?(word: number): boolean;
  /**
   * Why this access breaks the rules, or undefined. `thread` counts from 0, in the order in which the setup named them;
   * `lastSet` tells what it last wrote to a guarded word.
   */
  objection(
    access: Access,
    word: number,
    value: number,
    thread: number,
    lastSet: (word: number) => number | undefined,
  ): string | undefined;
  /**
   * Why a word must not go from what it holds to that, or undefined: for rules about what a word may become and who may
   * make it so. Asked before each change that a thread makes, plain or atomic; the halves of a wide word are two. It may
   * read the memory, which is as before the change, and ask who lives; neither is a step. What it throws is an objection.
   */
  transition?(thread: number, word: number, before: number, after: number): string | undefined;
}

/** Kinds of access as far as rules go. `change` is an atomic one that changes the word. */
export type Access = "read" | "change" | "wide" | "get" | "set";
