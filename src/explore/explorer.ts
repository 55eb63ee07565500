import { IrqBypassError } from "../host/errors.js";
import { withAtomics } from "./arrays.js";
import { ExploredMemory, scatter } from "./memory.js";
import type { Performed } from "./op.js";
import type { Cast, Discipline, ScenarioOptions } from "./scenario.js";
import { type Choice, isKill, killOf, stepOf, threadOf, timeoutOf, writesBefore } from "./schedule.js";
import { type Stage, Status, type ThreadWords } from "./thread.js";
import { Visited } from "./visited.js";
import { ExploredWorld, type World } from "./world.js";

/** What an exploration found so far. */
export interface Tally {
  /** Steps made. */
  transitions: number;
  /** Different states seen; 0 where every schedule is run by itself. */
  states: number;
  /** Schedules run to their end or to a state that was known. */
  runs: number;
  /** Schedules that these stand for; above 2^53 it is rounded. */
  schedules: number;
  /** Those of them in which a thread is killed. */
  killed: number;
  /** The longest schedule, in steps. */
  depth: number;
  /** How likely a state was missed because its fingerprint was that of another. */
  missProbability: number;
}

/** What is wrong, and the schedule that shows it. */
export interface Violation {
  readonly message: string;
  readonly choices: readonly Choice[];
  readonly preemptions: number;
}

export interface ExploreSettings extends ScenarioOptions {
  /** Visit each state once (the default), or run every schedule by itself. */
  readonly reduce?: boolean;
  /** Called every few thousand steps; returns true to stop. */
  readonly progress?: (tally: Tally) => boolean;
  /** Longest schedule to look at, in steps. */
  readonly maxDepth?: number;
}

/** A place in the tree of schedules: how things stood, and what is left to try. */
interface Place {
  /** The first `total` are in force. */
  readonly choices: Choice[];
  total: number;
  next: number;
  /** The choice that is being followed. */
  chosen: Choice;
  mark: number;
  low: number;
  high: number;
  /** Threads as they stood, {@link FIELDS} numbers each. */
  readonly threads: Int32Array;
  /** The thread that made the last step, -1 for none. */
  last: number;
  preemptions: number;
  timeouts: number;
  kills: number;
  entry: number;
  schedules: number;
  killed: number;
  /** Words that the steps taken from here touch, as thread, word, how. */
  readonly touched: number[];
}

const FIELDS = 7;
const PROGRESS_STEPS = 4096;

/**
 * Visits every schedule of a cast, depth first. Where states are visited, one that was seen before (the memory, and
 * what every thread has read) is not walked again: what follows it depends on nothing else.
 */
export class Explorer implements Stage {
  direct = true;
  running = 0;
  trace: ((performed: Performed) => void) | undefined;
  violation: Violation | undefined;
  readonly relaxPasses: boolean;
  readonly tally: Tally = {
    transitions: 0,
    states: 0,
    runs: 0,
    schedules: 0,
    killed: 0,
    depth: 0,
    missProbability: 0,
  };
  readonly threads: readonly ThreadWords[];
  memory: ExploredMemory;
  readonly discipline: Discipline | undefined;
  private readonly cast: Cast;
  private readonly bodies: readonly (() => unknown)[];
  private readonly kept: readonly (readonly [object, Record<string, unknown>])[];
  private readonly daemons: readonly boolean[];
  private readonly mortal: readonly boolean[];
  private readonly visited: Visited | undefined;
  private readonly base: Int32Array;
  private readonly places: Place[] = [];
  private depth = -1;
  /** Words that the running step has touched, as word, how; and how many guarded ones it changed. */
  private touching: number[] = [];
  private writes = 0;
  private stopping = false;

  constructor(
    setup: (world: World) => Cast,
    private readonly settings: ExploreSettings = {},
  ) {
    const { reduce = true, relax = "wait", kills = [], compiled = false } = settings;
    const world = new ExploredWorld(this, reduce, compiled);
    this.memory = new ExploredMemory(new Int32Array(0), false);
    this.cast = setup(world);
    if (world.explored === undefined)
      throw new Error("the setup made no memory: call world.memory, or hosts(world)");
    this.discipline = world.discipline;
    this.threads = world.threads;
    const names = Object.keys(this.cast.threads);
    for (const name of names) world.words(name);
    const missing = [...this.threads.map(({ name }) => name), ...kills, ...(this.cast.daemons ?? [])].find(
      (name) => !names.includes(name),
    );
    if (missing !== undefined)
      throw new Error(`the scenario names a thread ${missing} that it does not have`);
    this.bodies = this.threads.map(({ name }) => this.cast.threads[name]!);
    this.daemons = this.threads.map(({ name }) => this.cast.daemons?.includes(name) ?? false);
    this.mortal = this.threads.map(({ name }) => kills.includes(name));
    this.kept = (this.cast.keeps ?? []).map((object) => [object, { ...object }] as const);
    this.relaxPasses = relax === "pass";
    this.visited = reduce ? new Visited() : undefined;
    this.base = this.memory.view.slice();
    this.direct = false;
  }

  /** Visits everything, or up to the first violation. */
  explore(): void {
    const traces = Error.stackTraceLimit;
    Error.stackTraceLimit = 0; // the errors of the code under test are caught by the thousand
    try {
      withAtomics(this.past, () => this.walk());
    } finally {
      Error.stackTraceLimit = traces;
      this.restore(this.places[0]!);
      this.direct = true;
    }
    this.tally.missProbability = this.visited?.missProbability ?? 0;
    const changed = this.memory.view.findIndex((value, word) => value !== this.base[word]);
    if (changed >= 0 && this.violation === undefined) {
      this.violation = {
        message: `${this.nameOf(changed)} was written past the seam`,
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
  ): readonly Choice[] {
    return withAtomics(this.past, () => this.walkOne(choices, trace));
  }

  private walkOne(
    choices: readonly Choice[],
    trace: ((performed: Performed, step: number) => void) | undefined,
  ): readonly Choice[] {
    const made: Choice[] = [];
    this.single = true;
    if (trace !== undefined) this.trace = (performed) => trace(performed, made.length - 1);
    this.reach(-1);
    while (this.violation === undefined) {
      const place = this.places[this.depth]!;
      const offered = place.choices.slice(0, place.total);
      const wanted = choices[made.length] ?? offered[0];
      if (wanted === undefined) break;
      if (!offered.includes(isKill(wanted) ? killOf(threadOf(wanted), 0) : wanted)) {
        if (offered.length === 0) break;
        throw new IrqBypassError(
          "EINVAL",
          `this schedule is of another scenario or version: step ${made.length + 1} is not possible`,
        );
      }
      this.tryOthers(place, wanted);
      made.push(wanted);
      place.next = 1;
      this.perform(wanted);
    }
    this.direct = true;
    return made;
  }

  private single = false;

  /** Somebody uses `Atomics` directly: allowed on what is not the explored memory. */
  private readonly past = (array: unknown) => {
    const { view } = this.memory;
    if (this.direct || !ArrayBuffer.isView(array) || array.buffer !== view.buffer) return;
    this.violated("Atomics is used on the memory itself, past the seam");
  };

  /** Makes the other steps that are possible here and takes them back: only for what they touch. */
  private tryOthers(place: Place, wanted: Choice): void {
    const { trace, depth } = this;
    this.trace = undefined;
    for (const choice of place.choices.slice(0, place.total)) {
      if (choice === wanted || choice !== stepOf(threadOf(choice))) continue;
      this.perform(choice);
      this.violation = undefined;
      this.depth = depth;
      this.restore(place);
    }
    this.trace = trace;
  }

  nameOf(word: number): string {
    return this.discipline?.name(word) ?? `word ${word}`;
  }

  private walk(): void {
    const { progress } = this.settings;
    let due = PROGRESS_STEPS;
    this.reach(-1);
    while (this.violation === undefined && !this.stopping) {
      const place = this.places[this.depth]!;
      if (place.next < place.total) {
        this.restore(place);
        this.perform(place.choices[place.next++]!);
      } else {
        this.visited?.settle(place.entry, place.schedules, place.killed);
        if (this.depth === 0) break;
        this.depth -= 1;
        this.count(place.schedules, place.killed);
      }
      if (progress !== undefined && this.tally.transitions >= due) {
        due = this.tally.transitions + PROGRESS_STEPS;
        this.tally.schedules = this.places[0]!.schedules;
        this.stopping = progress(this.tally);
      }
    }
    this.tally.schedules = this.places[0]!.schedules;
    this.tally.killed = this.places[0]!.killed;
  }

  /** Adds the schedules that follow the choice of the present place. */
  private count(schedules: number, killed: number): void {
    const place = this.places[this.depth]!;
    place.schedules += schedules;
    place.killed += isKill(place.chosen) ? schedules : killed;
  }

  private perform(choice: Choice): void {
    const place = this.places[this.depth]!;
    const index = threadOf(choice);
    const thread = this.threads[index]!;
    place.chosen = choice;
    this.startStep();
    if (choice === timeoutOf(index)) {
      thread.wakeUp(2);
      this.reach(place.last);
    } else if (isKill(choice)) {
      if (writesBefore(choice) > 0) this.runBody(index, writesBefore(choice));
      this.startStep();
      thread.status = Status.dead;
      this.reach(place.last === index ? -1 : place.last);
    } else {
      if (thread.status === Status.relaxing) thread.wakeFromRelax();
      if (this.runBody(index, -1)) {
        thread.status = Status.done;
        this.endStep();
        this.reach(index);
      }
    }
  }

  /** Returns whether the thread has come to its end. */
  private runBody(index: number, dying: number): boolean {
    for (const [object, fields] of this.kept) Object.assign(object, fields);
    this.running = index;
    try {
      return this.threads[index]!.run(this.bodies[index]!, dying) === "done";
    } catch (error) {
      if (this.violation !== undefined) return false; // what it threw follows from that
      const said = error instanceof Error ? error.message : String(error);
      this.violated(`thread ${this.threads[index]!.name} threw: ${said}`);
      return false;
    }
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
    if (thread.status === Status.asleep) {
      thread.waitRank = 1;
      for (const other of this.threads) {
        if (other !== thread && other.status === Status.asleep && other.waitRank >= thread.waitRank)
          thread.waitRank = other.waitRank + 1;
      }
    }
    this.endStep();
    this.reach(this.running);
  }

  touches(word: number, how: 0 | 1 | 2): void {
    // Atomic uses matter only where something else may use the same word plainly, which a discipline says.
    if (how === 2 && this.discipline === undefined) return;
    this.touching.push(word, how);
    if (how === 1) this.writes += 1;
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
    let woken = 0;
    while (woken < count) {
      let first: ThreadWords | undefined;
      for (const thread of this.threads) {
        if (thread.status !== Status.asleep || thread.waitWord !== word) continue;
        if (first === undefined || thread.waitRank < first.waitRank) first = thread;
      }
      if (first === undefined) break;
      first.wakeUp(0);
      woken += 1;
    }
    return woken;
  }

  lives(thread: number): boolean {
    return this.threads[thread]?.status !== Status.dead;
  }

  private startStep(): void {
    this.tally.transitions += 1;
    if (this.touching.length > 0) this.touching = [];
    this.writes = 0;
  }

  /** The step of the running thread is complete: the guarded words it touched must be nobody else's at this moment. */
  private endStep(): void {
    const { touching, running } = this;
    if (touching.length === 0) return;
    const place = this.places[this.depth]!;
    const { touched } = place;
    for (let mine = 0; mine < touching.length; mine += 2) {
      for (let theirs = 0; theirs < touched.length; theirs += 3) {
        if (touched[theirs] === running || touched[theirs + 1] !== touching[mine]) continue;
        if (touched[theirs + 2] !== 1 && touching[mine + 1] !== 1) continue;
        const names = [touched[theirs]!, running].sort().map((index) => this.threads[index]!.name);
        this.violated(
          `${names.join(" and ")} touch ${this.nameOf(touching[mine]!)} at the same time, and one writes it`,
        );
      }
      touched.push(running, touching[mine]!, touching[mine + 1]!);
    }
    if (this.mortal[running] && place.kills === 0) {
      for (let writes = 1; writes <= this.writes; writes++) offer(place, killOf(running, writes));
    }
  }

  /** A new place is reached; returns whether there is anything to go on with. */
  private reach(last: number): boolean {
    if (this.violation !== undefined) return false;
    const before = this.places[this.depth];
    this.depth += 1;
    if (this.depth > this.tally.depth) this.tally.depth = this.depth;
    this.places[this.depth] ??= newPlace(this.threads.length);
    const place = this.places[this.depth]!;
    this.enter(place, before, last);
    if (this.cast.always !== undefined) this.check(this.cast.always);
    if (this.violation !== undefined) return false;
    if (this.visited !== undefined) {
      const entry = this.visited.enter(this.fingerprint(place, 0), this.fingerprint(place, 1));
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
    this.choose(place);
    if (place.total > 0) return true;
    place.schedules = 1;
    this.tally.runs += 1;
    this.finish();
    return false;
  }

  /** Fills in a place from how things stand. */
  private enter(place: Place, before: Place | undefined, last: number): void {
    const { memory, threads } = this;
    place.total = 0;
    if (place.touched.length > 0) place.touched.length = 0;
    place.next = 0;
    place.mark = memory.mark;
    place.low = memory.low;
    place.high = memory.high;
    place.last = last;
    place.schedules = 0;
    place.killed = 0;
    place.preemptions = before?.preemptions ?? 0;
    place.timeouts = before?.timeouts ?? 0;
    place.kills = before?.kills ?? 0;
    if (before !== undefined) {
      const { chosen } = before;
      const index = threadOf(chosen);
      if (isKill(chosen)) place.kills += 1;
      else if (chosen === timeoutOf(index)) place.timeouts += 1;
      else if (before.last !== -1 && before.last !== index && canGoOn(before, before.last))
        place.preemptions += 1;
    }
    const saved = place.threads;
    let at = 0;
    for (const thread of threads) {
      saved[at++] = thread.status;
      saved[at++] = thread.length;
      saved[at++] = thread.low;
      saved[at++] = thread.high;
      saved[at++] = thread.waitWord;
      saved[at++] = thread.waitRank;
      saved[at++] = thread.waitTimed;
    }
  }

  private restore(place: Place): void {
    const { memory, threads } = this;
    memory.rollback(place.mark);
    memory.low = place.low;
    memory.high = place.high;
    const saved = place.threads;
    let at = 0;
    for (const thread of threads) {
      thread.status = saved[at++]!;
      thread.length = saved[at++]!;
      thread.low = saved[at++]!;
      thread.high = saved[at++]!;
      thread.waitWord = saved[at++]!;
      thread.waitRank = saved[at++]!;
      thread.waitTimed = saved[at++]!;
    }
  }

  /** What can happen here: the thread that ran goes first, so that schedules with few switches come first. */
  private choose(place: Place): void {
    const { threads, settings } = this;
    const { last } = place;
    if (last >= 0 && ready(threads[last]!)) offer(place, stepOf(last));
    const free = place.total === 0 || place.preemptions < (settings.preemptions ?? Infinity);
    if (free)
      for (const thread of threads)
        if (thread.index !== last && ready(thread)) offer(place, stepOf(thread.index));
    this.chooseTimeouts(place);
    if (place.kills > 0) return;
    for (const { index, status } of threads) {
      if (this.mortal[index] && status !== Status.done) offer(place, killOf(index, 0));
    }
  }

  private chooseTimeouts(place: Place): void {
    const { timeouts = "never" } = this.settings;
    if (timeouts === "never") return;
    const stuck =
      place.total === 0 &&
      this.threads.some((thread, index) => !this.daemons[index] && ended(thread) === false);
    if (!stuck && (timeouts === "stuck" || place.timeouts >= timeouts)) return;
    for (const { index, status, waitTimed } of this.threads) {
      if (status === Status.asleep && waitTimed === 1) offer(place, timeoutOf(index));
    }
  }

  /** Nothing can go on: either all is done, or this is a deadlock. */
  private finish(): void {
    const stuck = this.threads.filter((thread, index) => !this.daemons[index] && !ended(thread));
    if (stuck.length > 0) {
      const where = stuck.map(({ name, status, waitWord }) =>
        status === Status.asleep
          ? `${name} sleeps on ${this.nameOf(waitWord)}`
          : `${name} waits for a change`,
      );
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

  /** Half of the fingerprint of how things stand. */
  private fingerprint(place: Place, half: 0 | 1): number {
    const seed = half === 0 ? 0x1f83d9ab : 0x5be0cd19;
    let hash = half === 0 ? this.memory.low : this.memory.high;
    for (const thread of this.threads) {
      const { status } = thread;
      let told: number;
      if (status === Status.dead) told = 0;
      else if (status === Status.done) told = textPrint(thread.result, seed);
      else told = half === 0 ? thread.low : thread.high;
      if (status === Status.asleep)
        told = scatter(told, thread.waitWord * 16 + this.rank(thread) * 2 + thread.waitTimed, seed);
      hash = scatter(hash, told ^ status, seed);
    }
    // A bound on preemptions and timeouts makes what may follow depend on what was used, and on who ran.
    if (this.settings.preemptions !== undefined)
      hash = scatter(hash, place.preemptions * 16 + place.last, seed);
    if (typeof this.settings.timeouts === "number") hash = scatter(hash, place.timeouts, seed);
    if (this.settings.maxDepth !== undefined) hash = scatter(hash, this.depth, seed);
    return hash;
  }

  /** How many fell asleep on the same word before this thread. */
  private rank(thread: ThreadWords): number {
    let rank = 0;
    for (const other of this.threads) {
      if (
        other.status === Status.asleep &&
        other.waitWord === thread.waitWord &&
        other.waitRank < thread.waitRank
      )
        rank += 1;
    }
    return rank;
  }
}

function newPlace(threads: number): Place {
  return {
    choices: [],
    total: 0,
    next: 0,
    chosen: 0,
    mark: 0,
    low: 0,
    high: 0,
    threads: new Int32Array(threads * FIELDS),
    last: -1,
    preemptions: 0,
    timeouts: 0,
    kills: 0,
    entry: 0,
    schedules: 0,
    killed: 0,
    touched: [],
  };
}

/** One more thing that can happen at a place. */
function offer(place: Place, choice: Choice): void {
  place.choices[place.total++] = choice;
}

const ended = ({ status }: ThreadWords) => status === Status.done || status === Status.dead;

const ready = (thread: ThreadWords) =>
  thread.status === Status.ready || (thread.status === Status.relaxing && thread.sawChange());

/** Could the thread that ran last have gone on from this place? Its step is then the first choice. */
function canGoOn(place: Place, last: number): boolean {
  return place.choices[0] === stepOf(last);
}

function textPrint(value: unknown, seed: number): number {
  if (value === undefined) return 0;
  const text = JSON.stringify(value, (_, part) => (typeof part === "bigint" ? `${part}n` : part)) ?? "";
  let hash = seed;
  for (let at = 0; at < text.length; at++) hash = scatter(hash, text.charCodeAt(at), seed);
  return hash;
}
