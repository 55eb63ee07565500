import { ExploredMemory } from "./memory.js";
import type { Discipline } from "./scenario.js";
import type { Stage } from "./stage.js";
import { ThreadWords } from "./thread.js";
import type { Words } from "./words.js";

const MAX_THREADS = 8;

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
  /** Does the thread of this index live? The question is a step, since the answer changes when that thread dies. */
  alive(index: number): boolean;
}

/** The world of one exploration: one memory, and the words of each thread. */
export class ExploredWorld implements World {
  discipline: Discipline | undefined;
  readonly threads: ThreadWords[] = [];
  explored: ExploredMemory | undefined;

  constructor(
    private readonly stage: Stage,
    private readonly fingerprints: boolean,
  ) {}

  memory(words: number, names: readonly string[] = []): void {
    this.take(new Int32Array(new ArrayBuffer(Math.ceil(words / 2) * 8)));
    this.discipline = { name: (word) => names[word] ?? `word ${word}`, objection: () => undefined };
  }

  words(thread: string): ThreadWords {
    let found = this.threads.find(({ name }) => name === thread);
    if (found === undefined) {
      if (this.threads.length === MAX_THREADS)
        throw new Error(`a scenario has at most ${MAX_THREADS} threads`);
      found = new ThreadWords(this.stage, this.threads.length, thread);
      this.threads.push(found);
    }
    return found;
  }

  adopt(thread: string, buffer: SharedArrayBuffer, byteOffset: number, length: number): Words {
    const { explored } = this;
    if (explored?.view.buffer !== buffer) this.take(new Int32Array(buffer, byteOffset, length));
    return this.words(thread);
  }

  thread(name: string): WorldThread {
    const words = this.words(name);
    return { index: words.index, alive: (index) => words.probe(index) };
  }

  private take(view: Int32Array): void {
    if (this.explored !== undefined) throw new Error("a scenario has one memory");
    this.explored = new ExploredMemory(view, this.fingerprints);
    this.stage.memory = this.explored; // the setup goes on with it
  }
}
