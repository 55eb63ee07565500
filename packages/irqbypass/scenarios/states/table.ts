/**
 * What a packed word may hold and become, as data. Each word of the fabric that says more than one thing at once has such a
 * table in this folder; `support/transitions.ts` holds every change in every scenario to it.
 */

/** Who changes a word. */
export type Who =
  /** Whoever holds the mutex that the word is; of any other word, whoever holds the host mutex. */
  | "holder"
  /** The thread that runs the vCPU. */
  | "runner"
  /**
   * Whom the word belongs to: the thread that it names; or the one that deassigns the irqfd that it names; or the one whose
   * record it is in; of the header, the thread that created the host.
   */
  | "owner"
  /** Another thread, where that to which the word belongs is dead. */
  | "repairer"
  | "anyone";

/** Whom a word belongs to: another thread that acts for that one, where it is dead, is its repairer. */
export type Keeper = Exclude<Who, "repairer" | "anyone">;

/** The words that have these bits. The first state of a table that fits is the word's. */
export interface State {
  readonly mask: number;
  readonly value: number;
  /** What it means. */
  readonly is: string;
}

/** What a value names beside its state: these bits, shifted down. */
export interface Naming {
  readonly what: "lock id" | "worker" | "thread" | "irqfd" | "reference" | "count";
  readonly mask: number;
  readonly shift: number;
}

/** A change that a word may go through. There is one row for each, and one alone allows it. */
export type Row = {
  /** "any" only in the row for the end of a life: when the record of the word has been given back, and is zeroed. */
  readonly from: string;
  readonly to: string;
  readonly who: Who;
  /** What becomes of what the value names: the thread that makes the change, the same as before, or the number after or before. */
  readonly names?: "self" | "same" | "next" | "previous";
  /** What the code does there. */
  readonly does: string;
} & (
  | {
      /** A scenario that does not hold without the row. */
      readonly shown: string;
    }
  | {
      /** Why no scenario comes this way. */
      readonly unused: string;
    }
);

export interface StateTable {
  readonly name: string;
  /** The words, as the layout calls them: `pool.field`, `header.field`, or `*.field` for every pool but that of threads. */
  readonly words: readonly string[];
  /** The bits that it is about, where it is not the whole word: the others are another table's. */
  readonly bits?: number;
  readonly keeper: Keeper;
  readonly names?: Naming;
  readonly states: Readonly<Record<string, State>>;
  readonly rows: readonly Row[];
}

export const ANY = "any";

/** The mask of a state that is one value. */
export const WHOLE = -1;
