import { Header, KEPT, POOLS, type PoolName, Rec, Vcpu } from "../../host/layout.js";
import { DESCRIPTOR_FIELDS, type Fields, HEADER_FIELDS, RECORD_FIELDS } from "../../host/word-classes.js";
import type { Words } from "../../host/words.js";

/** How each word of a record is read: plainly, atomically, as one half of 64 bits, or not, since it has no meaning. */
type Class = "plain" | "atomic" | "wide" | "none";

/** How the words of all records are read, for one audit: nobody else needs these tables. */
export class FieldReader {
  private readonly classes = new Map(POOLS.map(({ name, words }) => [name, classesOf(name, words)]));

  constructor(private readonly words: Words) {}

  /** The first word of a record that was given back that is not 0 and should be; undefined if all are. */
  firstUsed(pool: PoolName, record: number): number | undefined {
    const classes = this.classes.get(pool)!;
    for (let at = Rec.link + 1 + (KEPT[pool] ?? 0); at < classes.length; at++) {
      if (read(this.words, record + at, classes[at]!) !== 0) return at;
    }
    return undefined;
  }

  /** The first word of a record that has no meaning and is not 0. */
  firstStray(pool: PoolName, record: number): number | undefined {
    return strayIn(this.words, record, this.classes.get(pool)!);
  }

  /** The same for the header. */
  strayInHeader(): number | undefined {
    return strayIn(this.words, 0, spread(HEADER_FIELDS, Header.words));
  }
}

function classesOf(pool: PoolName, stride: number): readonly Class[] {
  const classes = spread(RECORD_FIELDS[pool], stride);
  if (pool === "vcpu") {
    spread(DESCRIPTOR_FIELDS, Vcpu.irr - Vcpu.descriptor).forEach((one, at) => {
      classes[Vcpu.descriptor + at] = one;
    });
  }
  return classes;
}

function spread(fields: Fields, size: number): Class[] {
  const classes = new Array<Class>(size).fill("none");
  for (const [at, wordClass, words = 1] of Object.values(fields)) {
    classes.fill(wordClass === "A64" ? "wide" : wordClass === "A" ? "atomic" : "plain", at, at + words);
  }
  return classes;
}

function strayIn(words: Words, base: number, classes: readonly Class[]): number | undefined {
  for (let at = 0; at < classes.length; at++) {
    if (classes[at] === "none" && words.get(base + at) !== 0) return at;
  }
  return undefined;
}

function read(words: Words, word: number, how: Class): number {
  if (how === "atomic") return words.load(word);
  if (how === "wide") return words.load64(word & ~1) === 0n ? 0 : 1;
  return words.get(word);
}
