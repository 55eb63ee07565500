import type { Discipline } from "../world/discipline.js";
import { ExploredWorld } from "../world/explored-world.js";
import { ExploredMemory } from "../world/memory.js";
import type { Performed } from "../world/op.js";
import type { Outcome } from "../world/run.js";
import { type Stage, Status } from "../world/stage.js";
import type { ThreadWords } from "../world/thread.js";
import type { Touch } from "../world/touch.js";
import type { World } from "../world/world.js";
import { choose, hasEnded } from "./choices.js";
import { fingerprint } from "./fingerprint.js";
import { newPlace, offer, type Place, restorePlace, savePlace } from "./place.js";
import { Players } from "./players.js";
import type { Cast, ScenarioOptions } from "./scenario.js";
import { type Choice, isKill, killOf, stepOf, threadOf, timeoutOf, writesBefore } from "./schedule.js";
import { newTally, type Violation } from "./tally.js";
import { Touches } from "./touches.js";
import { Visited } from "./visited.js";

export interface SimulationSettings extends ScenarioOptions {
  /** Visit each state once (the default), or run every schedule by itself. */
  readonly reduce?: boolean;
  /** Ask `Discipline.transition` about each change of a word (the default). */
  readonly transitions?: boolean;
  /** Longest schedule to look at, in steps. */
  readonly maxDepth?: number;
}

/**
 * A cast on its stage: makes one step at a time and remembers the places that it came through, so that the last ones can
 * be left again. Which way to go from each place is somebody else's choice.
 */
export class Simulation implements Stage {
  direct = true;
  running = 0;
  trace: ((performed: Performed) => void) | undefined;
  violation: Violation | undefined;
  /** One schedule is followed: no thread goes on by itself, and known states do not end it. */
  single = false;
  readonly relaxPasses: boolean;
  private readonly assumesMutexes: boolean;
  readonly tally = newTally();
  readonly threads: readonly ThreadWords[];
  memory: ExploredMemory;
  readonly discipline: Discipline | undefined;
  readonly visited: Visited | undefined;
  /** From the root to the present place, `depth` steps down. */
  readonly places: Place[] = [];
  depth = -1;
  private readonly cast: Cast;
  private readonly players: Players;
  private readonly touching = new Touches();

  constructor(
    setup: (world: World) => Cast,
    private readonly settings: SimulationSettings,
  ) {
    const { reduce = true, relax = "wait", kills = [], mutexes = "explored" } = settings;
    const world = new ExploredWorld(this, reduce);
    this.memory = new ExploredMemory(new Int32Array(0), false);
    this.cast = setup(world);
    this.discipline = world.discipline;
    this.players = new Players(this.cast, world, kills);
    this.threads = this.players.threads;
    this.relaxPasses = relax === "pass";
    this.assumesMutexes = mutexes === "assumed";
    if (this.assumesMutexes && kills.length > 0)
      throw new Error("a thread may die in a mutex: explore the mutexes where there are kills");
    this.visited = reduce ? new Visited() : undefined;
    this.direct = false;
  }

  /** Takes back every step made since `place` was reached; the caller sets the depth. */
  restore(place: Place): void {
    restorePlace(place, this.memory, this.threads);
  }

  /** The present place. */
  get here(): Place {
    return this.places[this.depth]!;
  }

  /** Somebody uses `Atomics` directly: allowed on what is not the explored memory. */
  readonly past = (array: unknown): void => {
    const { view } = this.memory;
    if (this.direct || !ArrayBuffer.isView(array) || array.buffer !== view.buffer) return;
    this.violated("Atomics is used on the memory itself, past the seam");
  };

  nameOf(word: number): string {
    return this.discipline?.name(word) ?? `word ${word}`;
  }

  /** Adds the schedules that follow the choice of the present place. */
  count(schedules: number, killed: number): void {
    const place = this.places[this.depth]!;
    place.schedules += schedules;
    place.killed += isKill(place.chosen) ? schedules : killed;
  }

  /** Makes one choice at the present place, and goes to where it leads; a promise where an async thread has to run for it. */
  perform(choice: Choice): Promise<void> | undefined {
    const place = this.here;
    const index = threadOf(choice);
    const thread = this.threads[index]!;
    place.chosen = choice;
    this.startStep();
    if (choice === timeoutOf(index)) {
      thread.wakeUp(2);
      this.reach(place.last);
    } else if (isKill(choice)) {
      const dies = () => {
        this.startStep();
        thread.status = Status.dead;
        this.reach(place.last === index ? -1 : place.last);
      };
      if (writesBefore(choice) > 0) return this.runBody(index, writesBefore(choice), dies);
      dies();
    } else {
      if (thread.status === Status.relaxing) thread.wakeFromRelax();
      else if (thread.status === Status.blocked) thread.status = Status.ready;
      return this.runBody(index, -1, (outcome) => {
        if (outcome !== "done") return;
        thread.status = Status.done;
        this.endStep();
        this.reach(index);
      });
    }
    return undefined;
  }

  /** Runs a thread, and calls `then` when it has stopped; at once unless it is async. */
  private runBody(index: number, dying: number, then: (outcome: Outcome) => void): Promise<void> | undefined {
    this.running = index;
    const threw = (error: unknown): void => {
      if (this.violation !== undefined) return; // what it threw follows from that
      const said = error instanceof Error ? error.message : String(error);
      this.violated(`thread ${this.threads[index]!.name} threw: ${said}`);
    };
    let outcome: Outcome | Promise<Outcome>;
    try {
      outcome = this.players.run(index, dying);
    } catch (error) {
      threw(error);
      return undefined;
    }
    if (outcome instanceof Promise) return outcome.then(then, threw);
    then(outcome);
    return undefined;
  }

  arrived(): boolean {
    const index = this.running;
    this.endStep();
    if (!this.reach(index) || this.single) return false;
    const place = this.places[this.depth]!;
    if (place.choices[0] !== stepOf(index)) return false;
    place.next = 1;
    place.chosen = place.choices[0];
    this.startStep();
    return true;
  }

  paused(): void {
    const thread = this.threads[this.running]!;
    if (thread.status === Status.asleep) this.players.queue(thread);
    this.endStep();
    this.reach(this.running);
  }

  touches(word: number, how: Touch): void {
    // Atomic uses matter only where something else may use the same word plainly, which a discipline says.
    if (how !== 2 || this.discipline !== undefined) this.touching.add(word, how);
  }

  assumes(word: number): boolean {
    return this.assumesMutexes && this.discipline?.isMutex?.(word) === true;
  }

  transition(thread: number, word: number, before: number, after: number): string | undefined {
    const { discipline } = this;
    if (discipline?.transition === undefined || this.settings.transitions === false) return undefined;
    this.direct = true; // what it asks is no step
    try {
      return discipline.transition(thread, word, before, after);
    } catch (error) {
      return error instanceof Error ? error.message : String(error);
    } finally {
      this.direct = false;
    }
  }

  violated(message: string): void {
    if (this.violation !== undefined) return;
    const followed = this.places.slice(0, this.depth + 1);
    // The last place may have been reached without a choice having been made there.
    const last = followed.at(-1);
    if (last !== undefined && last.next === 0) followed.pop();
    this.violation = {
      message,
      choices: followed.map(({ chosen }) => chosen),
      preemptions: last?.preemptions ?? 0,
    };
  }

  wake(word: number, count: number): number {
    return this.players.wake(word, count);
  }

  lives(thread: number): boolean {
    return this.threads[thread]?.status !== Status.dead;
  }

  private startStep(): void {
    this.tally.transitions += 1;
    this.touching.clear();
  }

  /** The step of the running thread is complete: the guarded words it touched must be nobody else's at this moment. */
  private endStep(): void {
    const { touching, running } = this;
    if (touching.none) return;
    const place = this.places[this.depth]!;
    touching.keep(place, running, this.race);
    if (this.players.mortal[running] && place.kills === 0) {
      for (let writes = 1; writes <= touching.writes; writes++) offer(place, killOf(running, writes));
    }
  }

  private readonly race = (other: number, word: number): void => {
    const names = [other, this.running].sort().map((index) => this.threads[index]!.name);
    this.violated(`${names.join(" and ")} touch ${this.nameOf(word)} at the same time, and one writes it`);
  };

  /** A new place is reached; returns whether there is anything to go on with. */
  reach(last: number): boolean {
    if (this.violation !== undefined) return false;
    const before = this.places[this.depth];
    this.depth += 1;
    if (this.depth > this.tally.depth) this.tally.depth = this.depth;
    this.places[this.depth] ??= newPlace(this.threads.length);
    const place = this.places[this.depth]!;
    savePlace(place, before, last, this.memory, this.threads);
    if (this.cast.always !== undefined) this.check(this.cast.always);
    if (this.violation !== undefined) return false;
    if (this.visited !== undefined) {
      const { players, settings, depth } = this;
      const entry = this.visited.enter(
        fingerprint(0, place, players, settings, depth),
        fingerprint(1, place, players, settings, depth),
      );
      if (entry >= 0 && !this.single) {
        this.tally.runs += 1;
        this.depth -= 1;
        this.count(this.visited.schedulesOf(entry), this.visited.killedOf(entry));
        return false;
      }
      place.entry = ~entry;
      this.tally.states = this.visited.size;
    }
    if (this.depth >= (this.settings.maxDepth ?? Infinity)) return false;
    choose(place, this.players, this.settings);
    if (place.total > 0) return true;
    place.schedules = 1;
    this.tally.runs += 1;
    this.finish();
    return false;
  }

  /** Nothing can go on: either all is done, or this is a deadlock. */
  private finish(): void {
    const stuck = this.threads.filter((thread, index) => !this.players.daemons[index] && !hasEnded(thread));
    if (stuck.length > 0) {
      const where = stuck.map(({ name, status, waitWord }) => {
        if (status === Status.relaxing) return `${name} waits for a change`;
        return `${name} ${status === Status.asleep ? "sleeps on" : "waits for"} ${this.nameOf(waitWord)}`;
      });
      this.violated(`deadlock: ${where.join(", ")}, and nobody can go on`);
      return;
    }
    const { end } = this.cast;
    if (end === undefined) return;
    const results: Record<string, unknown> = {};
    for (const { name, status, result } of this.threads) if (status === Status.done) results[name] = result;
    this.check(() => end(results));
  }

  /** Runs a check on how things stand; it may use the words of any thread, and what it writes is taken back. */
  private check(assertion: () => void): void {
    const { memory } = this;
    const { mark, low, high } = memory;
    this.direct = true;
    try {
      assertion();
    } catch (error) {
      this.violated(error instanceof Error ? error.message : String(error));
    } finally {
      this.direct = false;
      memory.rollback(mark);
      memory.low = low;
      memory.high = high;
    }
  }
}
