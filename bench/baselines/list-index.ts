import type { Words } from "irqbypass/internal/host/words.js";
import type { Index } from "./index.js";

/** Where a record keeps its key and its two links. */
export interface LinkWords {
  readonly key: number;
  readonly next: number;
  readonly previous: number;
}

/** A doubly linked list in shared memory, searched from its head: what the manager had before it had an xarray. */
export class ListIndex implements Index {
  constructor(
    private readonly words: Words,
    /** The word that holds the first record. */
    private readonly head: number,
    private readonly link: LinkWords,
  ) {}

  load(key: number): number {
    const { words, link } = this;
    let record = words.get(this.head);
    while (record !== 0 && words.get(record + link.key) !== key) record = words.get(record + link.next);
    return record;
  }

  insert(key: number, record: number): number {
    const present = this.load(key);
    if (present === 0) this.fill(key, record);
    return present;
  }

  erase(key: number): number {
    const { words, link } = this;
    const record = this.load(key);
    if (record === 0) return 0;
    const next = words.get(record + link.next);
    const previous = words.get(record + link.previous);
    if (previous === 0) words.set(this.head, next);
    else words.set(previous + link.next, next);
    if (next !== 0) words.set(next + link.previous, previous);
    return record;
  }

  fill(key: number, record: number): void {
    const { words, link } = this;
    const first = words.get(this.head);
    words.set(record + link.key, key);
    words.set(record + link.next, first);
    words.set(record + link.previous, 0);
    if (first !== 0) words.set(first + link.previous, record);
    words.set(this.head, record);
  }
}
