import type { Discipline } from "./discipline.js";
import { ExploredMemory } from "./memory.js";
import type { Stage } from "./stage.js";
import { ThreadWords } from "./thread.js";
import type { Words } from "./words.js";
import type { World, WorldThread } from "./world.js";

const MAX_THREADS = 8;

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
