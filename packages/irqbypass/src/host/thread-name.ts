/** What a thread is called: two UTF-16 units a word, as many as there is room for. */
import { Thread } from "./layout.js";
import type { Words } from "./words.js";

const NAME_WORDS = Thread.nameEnd - Thread.name;
/** How many UTF-16 units of a name are kept. */
export const NAME_UNITS = 2 * NAME_WORDS;

/** Writes the name of the thread of a record. */
export function writeName(words: Words, record: number, name: string): void {
  for (let word = 0; word < NAME_WORDS; word++) {
    const [low, high] = [name.charCodeAt(2 * word), name.charCodeAt(2 * word + 1)];
    words.store(record + Thread.name + word, (low || 0) | ((high || 0) << 16));
  }
}

/** The mirror image; "" where it has none. */
export function readName(words: Words, record: number): string {
  let name = "";
  for (let word = 0; word < NAME_WORDS; word++) {
    const units = words.load(record + Thread.name + word);
    name += String.fromCharCode(units & 0xffff, units >>> 16);
  }
  return name.replace(/\0.*$/s, "");
}
