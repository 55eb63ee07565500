/** The refusal matrix: every public call in every state in which it may be refused, and what is left of it then. */
import assert from "node:assert/strict";
import { POOLS } from "#src/host/layout.js";
import { type Entry, readSurface } from "../fuzz/surface.js";
import { type Call, hasReceiver, hasRow, prepare, type Replaced } from "./call.js";
import { CODES, type Fault } from "./codes.js";
import { takeDescriptors, takeRecords } from "./exhaust.js";
import { Holder } from "./holder.js";
import { type Counts, type Expected, Judge, type State } from "./judge.js";
import { ANSWERS, ENDS, GIVEN } from "./rows.js";
import { CALLBACKS, Stage, type With } from "./stage.js";
import { VARIATIONS, type Variation, type Vary } from "./variations.js";

/** A call that is refused with so many left is refused for something else. */
const MOST_DESCRIPTORS = 40;
/** What waits by itself, and has an asynchronous form for those who may not. */
const WAITS = /(Epoll|Eventfd|EventfdContext|Vcpu)\.prototype\.(read|wait)$/;
const SUCCEEDS: Expected = { succeeds: "always", codes: [] };
const may = (...codes: string[]): Expected => ({ succeeds: "may", codes });
const never = (...codes: string[]): Expected => ({ succeeds: "never", codes });

export class Matrix {
  private readonly judge: Judge;
  private holder: Holder | undefined;

  constructor(
    private readonly entries: readonly Entry[],
    private readonly what: With,
    private readonly replaced?: Replaced,
  ) {
    this.judge = new Judge(what !== "core");
  }

  get counts(): Counts {
    return this.judge.counts;
  }

  get faults(): string[] {
    return this.judge.faults;
  }

  /** Calls all of it. */
  async run(): Promise<void> {
    this.holder = await Holder.start();
    try {
      await this.callAll();
    } finally {
      await this.holder.end();
    }
  }

  private async callAll(): Promise<void> {
    for (const entry of this.entries) {
      if (!hasRow(entry)) {
        this.faults.push(`${entry.name}: has no row in test/refusal/rows.ts`);
        continue;
      }
      await this.plain(entry);
      await this.callbacks(entry);
      await this.ended(entry);
      if (GIVEN[entry.name] !== undefined) await this.arguments(entry);
      await this.pools(entry);
      if (this.what !== "core") await this.descriptors(entry);
      await this.blocking(entry);
    }
  }

  private async plain(entry: Entry): Promise<void> {
    const stage = new Stage(this.what);
    const { given, with: made } = this.prepare(entry, stage);
    await this.make(entry, "as it should be", stage, () => made(given), SUCCEEDS);
    await stage.end();
  }

  private async callbacks(entry: Entry): Promise<void> {
    let stage: Stage | undefined;
    for (const callback of CALLBACKS) {
      stage ??= new Stage(this.what);
      const here = stage;
      const { given, with: call } = this.prepare(entry, here);
      let made: Promise<boolean> | undefined;
      here.inside(callback, () => {
        made = this.refused(entry, "in a callback", here, () => call(given), may(CODES["in a callback"]));
      });
      if (await made!) continue;
      await here.end();
      stage = undefined;
    }
    if (stage === undefined) return;
    // The cause is gone.
    const { given, with: call } = this.prepare(entry, stage);
    await this.make(entry, "as it should be", stage, () => call(given), SUCCEEDS);
    await stage.end();
  }

  private async ended(entry: Entry): Promise<void> {
    const end = ENDS[entry.owner];
    if (end === undefined || !hasReceiver(entry)) return;
    const stage = new Stage(this.what);
    const { given, with: call, receiver } = this.prepare(entry, stage);
    end(stage, receiver);
    const answers = ANSWERS.some((one) =>
      typeof one === "string" ? one === entry.name : one.test(entry.name),
    );
    const code = CODES["on what has ended"];
    const expected = { ...(answers ? may(code) : never(code)), unchanged: true };
    await this.make(entry, "on what has ended", stage, () => call(given), expected);
    await stage.end();
  }

  private async arguments(entry: Entry): Promise<void> {
    for (const [fault, vary] of Object.entries(VARIATIONS) as [Fault, Vary][]) {
      let stage: Stage | undefined;
      for (let number = 0; ; number++) {
        stage ??= new Stage(this.what);
        const { given, with: call } = this.prepare(entry, stage);
        const variation: Variation | undefined = vary(entry, given, stage)[number];
        if (variation === undefined) break;
        const { what, code, apply } = variation;
        if (code !== undefined && code !== CODES[fault] && !entry.doc.includes(code))
          this.faults.push(`${entry.name}: its doc comment does not name ${code}, for ${what}`);
        const expected = code === undefined ? SUCCEEDS : never(code);
        const label = `${fault}: ${what}`;
        if (await this.refused(entry, fault, stage, () => call(apply(given)), expected, label)) continue;
        await stage.end();
        stage = undefined;
      }
      await stage?.end();
    }
  }

  private async pools(entry: Entry): Promise<void> {
    if (entry.how === "get") return;
    for (const { name } of POOLS) {
      const stage = new Stage(this.what);
      const { given, with: call } = this.prepare(entry, stage);
      const made = () => call(given);
      const give = takeRecords(stage.own.host, name);
      const label = `no record left: ${name}`;
      const expected = may(CODES["no record left"]);
      const refused = await this.refused(entry, "no record left", stage, made, expected, label);
      give();
      if (refused) await this.again(entry, stage, made, `${label}, given back`);
      await stage.end();
    }
  }

  /** With no descriptor left, then with one, until it has what it needs. */
  private async descriptors(entry: Entry): Promise<void> {
    if (entry.how === "get") return;
    for (let left = 0, refused = true; refused && left < MOST_DESCRIPTORS; left++) {
      const stage = new Stage(this.what);
      const { given, with: call } = this.prepare(entry, stage);
      const made = () => call(given);
      const label = `no descriptor left but ${left}`;
      const scarce = () => during(takeDescriptors(left), made);
      const expected = may(CODES["no descriptor left"]);
      refused = await this.refused(entry, "no descriptor left", stage, scarce, expected, label);
      if (refused) await this.again(entry, stage, made, `${label}, given back`);
      if (refused && left === MOST_DESCRIPTORS - 1) this.faults.push(`${entry.name}, ${label}: refused`);
      await stage.end();
    }
  }

  private async blocking(entry: Entry): Promise<void> {
    for (const which of ["the host", "the VM"] as const) {
      const stage = new Stage(this.what, false);
      const { given, with: call } = this.prepare(entry, stage);
      const held = () => stage.withMutexHeld(which, this.holder!, () => call(given));
      const label = `may not block, and somebody has the mutex of ${which}`;
      const expected = may(CODES["may not block"]);
      const refused = await this.refused(entry, "may not block", stage, held, expected, label);
      if (refused) await this.again(entry, stage, () => call(given), `${label}, free again`);
      await stage.end();
      if (refused && this.what === "core") await this.whenFree(entry, which);
    }
  }

  /** The form of the same call that does not block, made while somebody has the mutex: it succeeds when that is given back. */
  private async whenFree(entry: Entry, which: "the host" | "the VM"): Promise<void> {
    const stage = new Stage(this.what, false);
    const { given, with: call } = this.prepare(entry, stage);
    const made = () => stage.withMutexHeldAwhile(which, () => stage.own.host.whenFree(() => call(given)));
    await this.again(entry, stage, made, `may not block, and awaits the mutex of ${which}`);
    await stage.end();
  }

  /** The same call, the cause gone. A wait where one may not block stays refused. */
  private async again(entry: Entry, stage: Stage, call: () => unknown, label: string): Promise<void> {
    const waits = !stage.own.host.thread.mayBlock && WAITS.test(entry.name);
    const expected = waits ? never(CODES["may not block"]) : SUCCEEDS;
    await this.make(entry, "as it should be", stage, call, expected, label);
  }

  private prepare(entry: Entry, stage: Stage): Call {
    return prepare(entry, stage, this.replaced);
  }

  private async refused(...made: Parameters<Matrix["make"]>): Promise<boolean> {
    return (await this.make(...made)) !== undefined;
  }

  private make(
    { name }: Entry,
    state: State,
    stage: Stage,
    call: () => unknown,
    expected: Expected,
    label: string = state,
  ): Promise<string | undefined> {
    return this.judge.judge({ name, state, label, stage, call }, expected);
  }
}

/** Makes a call and ends, with it, what has been taken for it. */
function during(give: () => void, call: () => unknown): unknown {
  let result: unknown;
  try {
    result = call();
  } catch (error) {
    give();
    throw error;
  }
  if (result instanceof Promise) return result.finally(give);
  give();
  return result;
}

/** Calls all of an entry point, and returns how often in each state. Throws what is wrong. */
export async function holds(what: With): Promise<string> {
  const matrix = new Matrix(
    readSurface().entries.filter(({ from }) => from === what),
    what,
  );
  await matrix.run();
  assert.deepEqual(matrix.faults, []);
  return shown(matrix.counts);
}

/** Throws for a state in which nothing was called. */
export function shown(counts: Counts): string {
  const states = Object.entries(counts);
  for (const [state, { calls }] of states) assert.ok(calls > 0, state);
  return states.map(([state, { calls, refused }]) => `${state}: ${calls}, ${refused} refused`).join("; ");
}
