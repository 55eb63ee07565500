import type { Platform, WatchableWorker } from "../host/platform.js";
import type { Words } from "../host/words.js";
import { rewrittenModule } from "./compiled.js";
import { ExploredMemory } from "./memory.js";
import type { Discipline } from "./scenario.js";
import type { Stage } from "./stage.js";
import { ThreadWords } from "./thread.js";

const MAX_THREADS = 8;

/** What a scenario's `setup` builds its memory and threads with. */
export interface World {
  /** A memory of so many 32-bit words, all 0, for code that needs no host. `names` says what to call its words in charts. */
  memory(words: number, names?: readonly string[]): void;
  /** The way to the memory for one thread; the name is that of the thread. */
  words(thread: string): Words;
  /** Takes a memory that something else has made, such as a host; for `HostOptions.words`. */
  adopt(thread: string, buffer: SharedArrayBuffer, byteOffset: number, length: number): Words;
  /** A platform for one thread, where no other thread runs at the same time and threads die as the schedule says. */
  platform(thread: string): Platform;
  /** The rules for accesses, and the names of words. */
  discipline: Discipline | undefined;
  /** With the option `compiled`: the module that `hosts` gives to each host. A twin may put a broken one in its place. */
  compiled: Uint8Array | undefined;
}

/** The world of one exploration: one memory, and the words of each thread. */
export class ExploredWorld implements World {
  discipline: Discipline | undefined;
  compiled: Uint8Array | undefined;
  readonly threads: ThreadWords[] = [];
  explored: ExploredMemory | undefined;

  constructor(
    private readonly stage: Stage,
    private readonly fingerprints: boolean,
    compiled: boolean,
  ) {
    if (compiled) this.compiled = rewrittenModule();
  }

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

  platform(thread: string): Platform {
    const words = this.words(thread);
    return {
      name: "explorer",
      mayBlock: true,
      cores: 0, // more threads than cores: nobody spins before it sleeps
      self: () => ({ pid: 1, tid: words.index + 1, startTime: 0, worker: 0 }),
      alive: ({ tid }) => words.probe(tid - 1),
      spawn: () => {
        throw new Error("a scenario starts no threads: name them in `threads`");
      },
      isWorker: (_value): _value is WatchableWorker => false,
      hold: () => () => {},
      every: () => () => {},
    };
  }

  private take(view: Int32Array): void {
    if (this.explored !== undefined) throw new Error("a scenario has one memory");
    this.explored = new ExploredMemory(view, this.fingerprints);
    this.stage.memory = this.explored; // the setup goes on with it
  }
}
