/** Two things wrong with one call: it is refused with the code of one of them, and changes nothing. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { type Entry, readSurface } from "../fuzz/surface.js";
import { type Call, hasReceiver, hasRow, prepare } from "./call.js";
import { CODES } from "./codes.js";
import { type Counts, Judge } from "./judge.js";
import { ENDS, GIVEN } from "./rows.js";
import { CALLBACKS, type CallbackName, Stage, type With } from "./stage.js";
import { type Path, VARIATIONS, type Variation } from "./variations.js";

/** Where the call is made: as it should be, on what has ended, or in a callback. */
type Where = "alone" | "ended" | CallbackName;

interface Twice {
  /** Which of the arguments' faults. */
  readonly first: number;
  readonly second: number;
  readonly where: Where;
}

const twice: fc.Arbitrary<Twice> = fc.record({
  first: fc.nat(),
  second: fc.nat(),
  where: fc.oneof(
    fc.constant("alone" as const),
    fc.constant("ended" as const),
    fc.constantFrom(...CALLBACKS),
  ),
});

/** Has neither the other inside of it? */
function areApart(one: Path, other: Path): boolean {
  const shorter = Math.min(one.length, other.length);
  return one.slice(0, shorter).some((key, i) => key !== other[i]);
}

/** All that may be wrong with the arguments of a call. */
function faultsOf(entry: Entry, given: readonly unknown[], stage: Stage): Variation[] {
  const all = Object.values(VARIATIONS).flatMap((vary) => vary(entry, given, stage));
  return all.filter(({ code }) => code !== undefined);
}

class Both {
  private stage: Stage | undefined;

  constructor(
    private readonly entry: Entry,
    private readonly what: With,
    private readonly judge: Judge,
  ) {}

  async call({ first, second, where }: Twice): Promise<void> {
    this.stage ??= new Stage(this.what);
    const { stage, entry } = this;
    const made = prepare(entry, stage);
    const faults = faultsOf(entry, made.given, stage);
    const one = faults[first % faults.length]!;
    const apart = faults.filter(({ path }) => areApart(one.path, path));
    const other = apart.length === 0 ? undefined : apart[second % apart.length];
    const codes = [one.code!, ...(other === undefined ? [] : [other.code!])];
    const what = `${where}, ${one.what}${other === undefined ? "" : `, and ${other.what}`}`;
    const given = (other ?? one).apply(other === undefined ? made.given : one.apply(made.given));
    if (where === "ended" && hasReceiver(entry)) {
      ENDS[entry.owner]?.(stage, made.receiver);
      codes.push(CODES["on what has ended"]);
    }
    const refused = await this.refuse(made, given, where, codes, what);
    if (refused && where !== "ended") return;
    await this.end();
  }

  private async refuse(made: Call, given: readonly unknown[], where: Where, codes: string[], what: string) {
    const { stage, judge, entry } = this;
    const call = () => made.with(given);
    const refuse = (more: readonly string[]) =>
      judge.judge(
        { name: entry.name, state: "two things wrong", label: what, stage: stage!, call },
        { succeeds: "never", codes: [...codes, ...more] },
      );
    if (where === "alone" || where === "ended") return (await refuse([])) !== undefined;
    let inside: Promise<string | undefined> | undefined;
    stage!.inside(where, () => {
      inside = refuse([CODES["in a callback"]]);
    });
    return (await inside) !== undefined;
  }

  async end(): Promise<void> {
    await this.stage?.end();
    this.stage = undefined;
  }
}

/** Makes each call of an entry point with two things wrong so many times. Throws what is wrong; returns how often. */
export async function refusesBoth(what: With, seed: number, numRuns: number): Promise<Counts> {
  const judge = new Judge(what !== "core");
  for (const entry of readSurface().entries) {
    if (entry.from !== what) continue;
    if (GIVEN[entry.name] === undefined || !hasRow(entry)) continue;
    const both = new Both(entry, what, judge);
    const property = fc.asyncProperty(twice, async (one) => {
      const before = judge.faults.length;
      await both.call(one);
      assert.deepEqual(judge.faults.slice(before), []);
    });
    await fc.assert(property, { seed, numRuns, endOnFailure: true, includeErrorInReport: true });
    await both.end();
  }
  return judge.counts;
}
