/**
 * What a scenario file exports: who runs at the same time, what must hold, and a broken twin that must be caught.
 */
import type { World } from "../world/world.js";

/** The threads of one scenario, made by its `setup`. */
export interface Cast {
  /**
   * The threads by name. Each is run from its start again and again: what it does may depend on nothing but what it
   * reads through its words, and what it returns is what `end` sees of it.
   */
  readonly threads: Readonly<Record<string, () => unknown>>;
  /** Threads that serve the others, and may be asleep when these have ended. */
  readonly daemons?: readonly string[];
  /**
   * Objects with fields of their own that a thread changes, such as handles: they are put back to how `setup` left
   * them before each run.
   */
  readonly keeps?: readonly object[];
  /** Throws where something that must always hold does not. Runs after every step; may read, must not wait. */
  readonly always?: () => void;
  /** Throws where something that must hold at the end does not; gets what each thread returned (a killed one nothing). */
  readonly end?: (results: Readonly<Record<string, unknown>>) => void;
}

/**
 * A variant of the piece under test that is wrong: the explorer must find out. `Discipline.transition` is not asked about
 * it, so that it fails by its own property.
 */
export interface Twin {
  /** What is wrong with it, one line. */
  readonly sentence: string;
  /** A known bug that it has, by commit or CVE, and when it was mended. */
  readonly bug?: {
    /** A commit of Linux or a CVE. */
    readonly id: string;
    /** When it was mended. */
    readonly year: number;
  };
  /** Makes its threads, anew for each run. */
  setup(world: World): Cast;
}

/** How a scenario is explored. */
export interface ScenarioOptions {
  /** Switches away from a thread that could go on, at most; unlimited if absent. */
  readonly preemptions?: number;
  /** Threads that may die, at any access, one of them in a schedule. */
  readonly kills?: readonly string[];
  /**
   * What a time limit of a wait does. `never` (the default): it does not pass, so a wake-up that is lost is a deadlock.
   * `stuck`: it passes when no thread can go on otherwise. A number: besides, it may pass at any moment, so often in one schedule.
   */
  readonly timeouts?: "never" | "stuck" | number;
  /**
   * What `relax` does: `wait` (the default) waits for a change of a word that the loop has looked at; `pass` goes on at
   * once, for loops that look a limited number of times and then do something else.
   */
  readonly relax?: "wait" | "pass";
  /**
   * How the mutexes are taken that `Discipline.isMutex` names. `explored` (the default): instruction by instruction.
   * `assumed`: whoever wants one waits, in one step, until it is free; that the mutex does this and no more is for other
   * scenarios to show. States are far fewer then. Not with `kills`.
   */
  readonly mutexes?: "explored" | "assumed";
}

export interface Scenario extends ScenarioOptions {
  /** What must hold, one sentence. */
  readonly sentence: string;
  /** It takes more than a few seconds: explored only where it is named, or all are asked for (`--long`). */
  readonly long?: true;
  /** Builds the memory and the threads. Its own accesses are no steps. */
  setup(world: World): Cast;
  /** Broken twins, at least one, by a short name without blanks. */
  readonly twins: Readonly<Record<string, Twin>>;
}
