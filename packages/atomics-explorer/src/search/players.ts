import type { ExploredWorld } from "../world/explored-world.js";
import type { Outcome } from "../world/run.js";
import type { ThreadWords } from "../world/thread.js";
import type { Cast } from "./scenario.js";

/** A cast whose threads have their words: who runs, who may be asleep at the end, who may die. */
export class Players {
  readonly threads: readonly ThreadWords[];
  readonly daemons: readonly boolean[];
  readonly mortal: readonly boolean[];
  private readonly bodies: readonly (() => unknown)[];
  private readonly kept: readonly (readonly [object, Record<string, unknown>])[];

  /** Throws where the setup left something out, or names a thread that there is not. */
  constructor(cast: Cast, world: ExploredWorld, kills: readonly string[]) {
    if (world.explored === undefined)
      throw new Error("the setup made no memory: call world.memory or world.adopt");
    this.threads = world.threads;
    const names = Object.keys(cast.threads);
    for (const name of names) world.words(name);
    const missing = [...this.threads.map(({ name }) => name), ...kills, ...(cast.daemons ?? [])].find(
      (name) => !names.includes(name),
    );
    if (missing !== undefined)
      throw new Error(`the scenario names a thread ${missing} that it does not have`);
    this.bodies = this.threads.map(({ name }) => cast.threads[name]!);
    this.daemons = this.threads.map(({ name }) => cast.daemons?.includes(name) ?? false);
    this.mortal = this.threads.map(({ name }) => kills.includes(name));
    this.kept = (cast.keeps ?? []).map((object) => [object, { ...object }] as const);
  }

  /** Runs a thread through its log and on, as {@link ThreadWords.run}. Throws what its code throws. */
  run(index: number, dying: number): Outcome | Promise<Outcome> {
    for (const [object, fields] of this.kept) Object.assign(object, fields);
    return this.threads[index]!.run(this.bodies[index]!, dying);
  }

  /** Wakes sleepers of a word in the order in which they fell asleep; returns how many. */
  wake(word: number, count: number): number {
    let woken = 0;
    while (woken < count) {
      const first = this.firstAsleep(word);
      if (first === undefined) break;
      first.wakeUp(0);
      woken += 1;
    }
    return woken;
  }

  /** A thread has fallen asleep: it is the last of all sleepers. */
  queue(thread: ThreadWords): void {
    thread.waitRank = 1;
    for (const other of this.threads) {
      if (other !== thread && other.isAsleep && other.waitRank >= thread.waitRank)
        thread.waitRank = other.waitRank + 1;
    }
  }

  /** How many fell asleep on the same word before this thread. */
  rank({ waitWord, waitRank }: ThreadWords): number {
    let rank = 0;
    for (const other of this.threads) {
      if (other.isAsleep && other.waitWord === waitWord && other.waitRank < waitRank) rank += 1;
    }
    return rank;
  }

  private firstAsleep(word: number): ThreadWords | undefined {
    let first: ThreadWords | undefined;
    for (const thread of this.threads) {
      if (!thread.isAsleep || thread.waitWord !== word) continue;
      if (first === undefined || thread.waitRank < first.waitRank) first = thread;
    }
    return first;
  }
}
