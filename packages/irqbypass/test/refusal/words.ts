/** The words of a host at one moment, to be compared with those of another. */
import type { Host } from "irqbypass";
import { Header } from "#src/host/layout.js";

/** Words that say nothing of what a call did. */
export const EXCUSED: readonly (readonly [word: number, why: string])[] = [
  [Header.ticks, "the clock, which a timer advances"],
];

export interface Snapshot {
  readonly length: number;
  at(word: number): number;
  /** The words in which the two differ. */
  compare(before: Snapshot): number[];
}

export function wordsOf(host: Host): Snapshot {
  const { memory, byteOffset } = host.handle;
  const length = host.words.get(Header.size);
  const copy = new Int32Array(memory.buffer as SharedArrayBuffer, byteOffset, length).slice();
  const excused = new Set(EXCUSED.map(([word]) => word));
  return {
    length,
    at: (word) => copy[word]!,
    compare(before) {
      const different: number[] = [];
      for (let word = 0; word < length; word++) {
        if (copy[word] !== before.at(word) && !excused.has(word)) different.push(word);
      }
      return different;
    },
  };
}
