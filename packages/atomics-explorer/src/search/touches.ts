import type { Touch } from "../world/touch.js";
import type { Place } from "./place.js";

/** The words that the running step has touched. Two threads that could touch one at the same moment are a race. */
export class Touches {
  /** As word, how. */
  private words: number[] = [];
  /** How many guarded words the step has changed. */
  writes = 0;

  /** A step begins. */
  clear(): void {
    if (this.words.length > 0) this.words = [];
    this.writes = 0;
  }

  add(word: number, how: Touch): void {
    this.words.push(word, how);
    if (how === 1) this.writes += 1;
  }

  get none(): boolean {
    return this.words.length === 0;
  }

  /**
   * The step of thread `running` from `place` is complete: keeps its words beside those of the other threads' steps from
   * there, and calls `race` for each that somebody else could touch at the same moment, where one of the two writes.
   */
  keep(place: Place, running: number, race: (other: number, word: number) => void): void {
    const { words } = this;
    const { touched } = place;
    for (let mine = 0; mine < words.length; mine += 2) {
      for (let theirs = 0; theirs < touched.length; theirs += 3) {
        if (touched[theirs] === running || touched[theirs + 1] !== words[mine]) continue;
        if (touched[theirs + 2] === 1 || words[mine + 1] === 1) race(touched[theirs]!, words[mine]!);
      }
      touched.push(running, words[mine]!, words[mine + 1]!);
    }
  }
}
