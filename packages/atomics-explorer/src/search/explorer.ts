import { ExplorerError } from "../error.js";
import { withAtomics } from "../world/arrays.js";
import type { Performed } from "../world/op.js";
import type { World } from "../world/world.js";
import type { Place } from "./place.js";
import type { Cast } from "./scenario.js";
import { type Choice, isKill, killOf, stepOf, threadOf } from "./schedule.js";
import { Simulation, type SimulationSettings } from "./simulation.js";
import type { Tally, Violation } from "./tally.js";

export interface ExploreSettings extends SimulationSettings {
  /** Called every few thousand steps; returns true to stop. */
  readonly progress?: (tally: Tally) => boolean;
}

const PROGRESS_STEPS = 4096;

/**
 * Visits every schedule of a cast, depth first. Where states are visited, one that was seen before (the memory, and
 * what every thread has read) is not walked again: what follows it depends on nothing else.
 */
export class Explorer {
  private readonly simulation: Simulation;
  private readonly base: Int32Array;
  private stopping = false;

  /**
   * `setup` makes the threads, anew for each schedule. Explores nothing yet. Throws what `setup` throws.
   *
   * @example
   * ```ts
   * import { Explorer, type Words } from "atomics-explorer";
   *
   * const increment = (words: Words) => words.store(0, words.load(0) + 1);
   * const explorer = new Explorer((world) => {
   *   world.memory(1, ["count"]);
   *   const [a, b] = [world.words("a"), world.words("b")];
   *   return {
   *     threads: { a: () => increment(a), b: () => increment(b) },
   *     end: () => {
   *       if (a.load(0) !== 2) throw new Error("an increment is lost");
   *     },
   *   };
   * });
   * await explorer.explore();
   * console.log(explorer.violation?.message); // an increment is lost
   * ```
   */
  constructor(
    setup: (world: World) => Cast,
    private readonly settings: ExploreSettings = {},
  ) {
    this.simulation = new Simulation(setup, settings);
    this.base = this.simulation.memory.view.slice();
  }

  /** How much was visited so far. */
  get tally(): Readonly<Tally> {
    return this.simulation.tally;
  }

  /** What was found; undefined where nothing is wrong so far. */
  get violation(): Violation | undefined {
    return this.simulation.violation;
  }

  /** The threads, in the order of the columns of a chart. */
  get threads(): readonly {
    /** Its name in the cast. */
    readonly name: string;
  }[] {
    return this.simulation.threads;
  }

  /** What a word is called in charts. */
  nameOf(word: number): string {
    return this.simulation.nameOf(word);
  }

  /** Visits everything, or up to the first violation. Threads may be async; nothing else runs meanwhile, not even timers. */
  async explore(): Promise<void> {
    const { simulation } = this;
    const traces = Error.stackTraceLimit;
    Error.stackTraceLimit = 0; // the errors of the code under test are caught by the thousand
    try {
      await withAtomics(simulation.past, () => this.walk());
    } finally {
      Error.stackTraceLimit = traces;
      const root = simulation.places[0];
      if (root !== undefined) simulation.restore(root);
      simulation.direct = true;
    }
    simulation.tally.missProbability = simulation.visited?.missProbability ?? 0;
    const changed = simulation.memory.view.findIndex((value, word) => value !== this.base[word]);
    if (changed >= 0 && simulation.violation === undefined) {
      simulation.violation = {
        message: `${simulation.nameOf(changed)} was written past the seam`,
        choices: [],
        preemptions: 0,
      };
    }
  }

  /** Was it stopped before everything was visited? */
  get interrupted(): boolean {
    return this.stopping;
  }

  /**
   * Follows one schedule; it may be the beginning of one, and is then followed by whichever thread can go on. Returns the
   * whole of it. Throws where a step of it is not possible.
   */
  follow(
    choices: readonly Choice[],
    trace?: (performed: Performed, step: number) => void,
  ): Promise<readonly Choice[]> {
    return withAtomics(this.simulation.past, () => this.walkOne(choices, trace));
  }

  private async walk(): Promise<void> {
    const { simulation } = this;
    const { tally, visited } = simulation;
    const { progress } = this.settings;
    let due = PROGRESS_STEPS;
    simulation.reach(-1);
    while (simulation.violation === undefined && !this.stopping) {
      const place = simulation.here;
      if (place.next < place.total) {
        simulation.restore(place);
        const running = simulation.perform(place.choices[place.next++]!);
        if (running !== undefined) await running;
      } else {
        visited?.settle(place.entry, place.schedules, place.killed);
        if (simulation.depth === 0) break;
        simulation.depth -= 1;
        simulation.count(place.schedules, place.killed);
      }
      if (progress !== undefined && tally.transitions >= due) {
        due = tally.transitions + PROGRESS_STEPS;
        tally.schedules = simulation.places[0]!.schedules;
        this.stopping = progress(tally);
      }
    }
    tally.schedules = simulation.places[0]!.schedules;
    tally.killed = simulation.places[0]!.killed;
  }

  private async walkOne(
    choices: readonly Choice[],
    trace: ((performed: Performed, step: number) => void) | undefined,
  ): Promise<readonly Choice[]> {
    const { simulation } = this;
    const made: Choice[] = [];
    simulation.single = true;
    if (trace !== undefined) simulation.trace = (performed) => trace(performed, made.length - 1);
    simulation.reach(-1);
    while (simulation.violation === undefined) {
      const place = simulation.here;
      const offered = place.choices.slice(0, place.total);
      const wanted = choices[made.length] ?? offered[0];
      if (wanted === undefined) break;
      if (!offered.includes(isKill(wanted) ? killOf(threadOf(wanted), 0) : wanted)) {
        if (offered.length === 0) break;
        throw new ExplorerError(
          `this schedule is of another scenario or version: step ${made.length + 1} is not possible`,
        );
      }
      await this.tryOthers(place, wanted);
      made.push(wanted);
      place.next = 1;
      await simulation.perform(wanted);
    }
    simulation.direct = true;
    return made;
  }

  /** Makes the other steps that are possible here and takes them back: only for what they touch. */
  private async tryOthers(place: Place, wanted: Choice): Promise<void> {
    const { simulation } = this;
    const { trace, depth } = simulation;
    simulation.trace = undefined;
    for (const choice of place.choices.slice(0, place.total)) {
      if (choice === wanted || choice !== stepOf(threadOf(choice))) continue;
      await simulation.perform(choice);
      simulation.violation = undefined;
      simulation.depth = depth;
      simulation.restore(place);
    }
    simulation.trace = trace;
  }
}
