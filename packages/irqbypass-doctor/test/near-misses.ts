/**
 * Hosts in which one file nearly has its format: a digit is a letter, a comma a blank, a number too long. The formats are in
 * formats.ts once more, so that a parser that lets too much through, or too little, is found out.
 */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { inspectHost, type Report } from "#src/index.js";
import type { Format, Outcome } from "./formats.js";
import { asCapture, claimsOf, hostsAndCases, PLACE } from "./fuzz.js";
import { type HostText, loadHost, unpack } from "./tree.js";
import { type Doctor, type Weakening, withWeakened } from "./weakened.js";

/** What comes in the place of up to two characters. */
const TOKENS = ["", "x", "g", "Y", "-", " ", ",", ":", ".", "0x", "1", "8", "\n", "\t", "9".repeat(20), "\0"];

/** A file of a host, or what a link of it points to. */
interface Place {
  readonly name: string;
  readonly host: HostText;
  readonly path: string;
  readonly text: string;
  readonly isLink: boolean;
}

/** A trace that somebody recorded on a host without tables, so that nothing else tells what is posted. */
const RECORDED = [130, 131, 132]
  .map(
    (irq) =>
      `       CPU 0/KVM-4243    [003] .....  1234.567${irq}: kvm_pi_irte_update: ` +
      `PI is enabled and being updated for irq ${irq}, vcpu 0, gsi: 0x18, gvec: 0x31\n`,
  )
  .join("");

function recorded(): Place {
  const host = loadHost("intel-posted-6.18");
  const entries = new Map([...host.entries].filter(([path]) => !path.includes("sys/kernel/debug")));
  return {
    name: "intel-posted-6.18",
    host: { ...host, entries: entries.set("recorded", { text: RECORDED }) },
    path: "recorded",
    text: RECORDED,
    isLink: false,
  };
}

function placesOf({ file, outcome, where }: Format): Place[] {
  const right = (text: string) =>
    outcome.is === "parts" ? outcome.keep(text) !== "" : outcome.is !== "thrown" && outcome.right(text);
  const there = hostsAndCases().flatMap(([name, found]) => {
    const host = found.root ? asCapture(found) : found;
    return [...host.entries].flatMap(([path, entry]): Place[] => {
      const text = "text" in entry ? entry.text : "target" in entry ? entry.target : undefined;
      return text === undefined ? [] : [{ name, host, path, text, isLink: "target" in entry }];
    });
  });
  return [...there, recorded()].filter(
    ({ path, text }) =>
      file.test(path.replace(/^[12]\//, "")) && right(text) && (where === undefined || text.match(where)),
  );
}

/** Places in which the changes that chance makes too seldom are tried. */
const ALSO = 4;

/** A host on the disk, in which one file is written again and again. */
class Bench {
  readonly #place: Place;
  readonly #dir: string;
  readonly #temporary = mkdtempSync(join(tmpdir(), "irqbypass-near-"));

  constructor(place: Place) {
    this.#place = place;
    this.#dir = join(this.#temporary, place.name);
    unpack(place.host, this.#dir);
  }

  /**
   * The report with `text` in the place, or with nothing there; undefined where the capture is refused. Of names it is put
   * into `both` samples, because one that changes between them is another interrupt.
   */
  async report(
    text: string | undefined,
    { inspectHost: inspect }: Doctor,
    both: boolean,
  ): Promise<Report | undefined> {
    const { path, isLink, host } = this.#place;
    const paths = [path, ...(both ? [path.replace("1/", "2/")] : [])].filter((one) => host.entries.has(one));
    const put = (one: string, where: string) =>
      isLink ? symlinkSync(one, join(this.#dir, where)) : writeFileSync(join(this.#dir, where), one);
    for (const where of paths) {
      rmSync(join(this.#dir, where), { force: true });
      if (text !== undefined) put(text, where);
    }
    try {
      const trace = path === "recorded" ? { traceFrom: join(this.#dir, path) } : {};
      return await inspect({ from: this.#dir, ...trace });
    } catch (error) {
      if ((error as Error).name === "DoctorError") return undefined;
      throw error;
    } finally {
      for (const where of paths) {
        rmSync(join(this.#dir, where), { force: true });
        const entry = host.entries.get(where)!;
        put("text" in entry ? entry.text : "target" in entry ? entry.target : "", where);
      }
    }
  }

  [Symbol.dispose](): void {
    rmSync(this.#temporary, { recursive: true, force: true });
  }
}

/** One change: where, of how many characters, to what, and whether wherever the same character stands. */
type Change = readonly [at: number, length: number, token: string, everywhere: boolean];

function changed(format: Format, text: string, changes: readonly Change[], which: number): string {
  let near = format.joint === undefined || which % 2 === 0 ? text : text.replaceAll(format.joint, ".");
  for (const [at, length, token, everywhere] of changes) {
    const spans = format.where === undefined ? [] : [...near.matchAll(format.where)];
    const span = spans[Math.floor(spans.length * at)];
    const inSpan = span === undefined ? 0 : (at * spans.length) % 1;
    const from =
      span === undefined
        ? Math.floor(near.trimEnd().length * at)
        : span.index + Math.floor((span[0].length + 1) * inSpan);
    const one = near.charAt(from);
    near =
      everywhere && one !== ""
        ? near.replaceAll(one, () => token)
        : near.slice(0, from) + token + near.slice(from + length);
  }
  return near;
}

const CHANGES = fc.array(fc.tuple(PLACE, fc.nat(2), fc.constantFrom(...TOKENS), fc.boolean()), {
  minLength: 1,
  maxLength: 3,
});

export interface Missed {
  readonly format: string;
  /** Texts that were of the format all the same, and that were not. */
  readonly right: number;
  readonly wrong: number;
}

/** Tries `runs` texts of one format that are nearly right; rejects where the doctor takes one for what it is not. */
async function tryNear(format: Format, runs: number, seed: number, doctor: Doctor): Promise<Missed> {
  const places = placesOf(format);
  assert.ok(places.length > 0, `${format.name}: no host has such a file`);
  const benches = new Map<Place, Bench>();
  const read = new Map<Place, boolean>();
  const count = { right: 0, wrong: 0 };
  const hold = async (near: string, place: Place, bench: Bench) => {
    const told = (text: string | undefined) => bench.report(text, doctor, format.outcome.is === "parts");
    // Without it, the doctor says something else.
    if (!read.has(place))
      read.set(place, JSON.stringify(await told(place.text)) !== JSON.stringify(await told(undefined)));
    if (read.get(place) !== true || (place.isLink && (near === "" || near.includes("\0")))) return;
    const about = `${place.name}, ${place.path}: ${JSON.stringify(near.slice(0, 400))}`;
    count[(await isAsItShould(format.outcome, near, place, told, about)) ? "right" : "wrong"] += 1;
  };
  const benchOf = (place: Place) => {
    const bench = benches.get(place) ?? new Bench(place);
    benches.set(place, bench);
    return bench;
  };
  try {
    for (const also of format.also ?? [])
      for (const place of places.slice(0, ALSO)) await hold(also(place.text), place, benchOf(place));
    await fc.assert(
      fc.asyncProperty(fc.nat(places.length - 1), CHANGES, async (which, changes) => {
        const place = places[which]!;
        await hold(changed(format, place.text, changes, which), place, benchOf(place));
      }),
      { numRuns: runs, seed, endOnFailure: true, includeErrorInReport: true },
    );
  } finally {
    for (const bench of benches.values()) bench[Symbol.dispose]();
  }
  return { format: format.name, ...count };
}

type Told = (text: string | undefined) => Promise<Report | undefined>;

/** Holds the report on a text to the format's outcome; whether the text is of the format. */
async function isAsItShould(
  outcome: Outcome,
  near: string,
  place: Place,
  told: Told,
  about: string,
): Promise<boolean> {
  const report = await told(near);
  if (outcome.is === "parts") {
    const kept = outcome.keep(near);
    const say = (one: Report | undefined) =>
      one === undefined ? [] : [...claimsOf(one), ...(outcome.say?.(one) ?? [])];
    const rightly = new Set(say(await told(kept)));
    assert.deepEqual(
      say(report).filter((one) => !rightly.has(one)),
      [],
      about,
    );
    return kept === near;
  }
  assert.ok(outcome.is !== "thrown");
  const right = outcome.right(near);
  if (outcome.is === "refused") {
    assert.equal(report === undefined, !right, about);
    return right;
  }
  assert.ok(report !== undefined, about);
  const path = `/${place.path.slice(2)}`;
  const shown = outcome.as?.(report) ?? report.strange.some((one) => one.path === path);
  if (outcome.as === undefined) assert.equal(shown, !right, about);
  else assert.ok(right || shown, about);
  if (!right) {
    const rightly = new Set(claimsOf((await told(undefined)) ?? report));
    // The first sample tells which interrupts there are; of the second only the counts are lost.
    const more = claimsOf(report).filter((one) => !rightly.has(one));
    assert.deepEqual(more, [], about);
  }
  return right;
}

/** The same of a parser whose texts are in no file of a host. */
async function tryParser(
  outcome: Extract<Outcome, { is: "thrown" }>,
  format: Format,
  runs: number,
  seed: number,
  load: (module: string) => Promise<unknown>,
): Promise<Missed> {
  const module = (await load(outcome.module)) as Record<string, (text: string) => unknown>;
  const count = { right: 0, wrong: 0 };
  const property = fc.property(
    fc.constantFrom(...outcome.samples),
    CHANGES,
    fc.nat(1),
    (sample, changes, which) => {
      const near = changed(format, sample, changes, which);
      const right = outcome.right(near);
      count[right ? "right" : "wrong"] += 1;
      let problem: unknown;
      try {
        module[outcome.parse]!(near);
      } catch (error) {
        problem = error;
      }
      assert.equal(problem === undefined, right, `${JSON.stringify(near)}: ${problem}`);
      assert.equal((problem as Error | undefined)?.name ?? "FormatError", "FormatError");
    },
  );
  fc.assert(property, { numRuns: runs * 10, seed, endOnFailure: true, includeErrorInReport: true });
  return { format: format.name, ...count };
}

const asBuilt = (module: string): Promise<unknown> => import(`#src/${module}.js`);

/** Tries `runs` texts of a format that are nearly right, each in a host. */
export function nearMisses(
  format: Format,
  runs: number,
  seed: number,
  doctor: Doctor = { inspectHost },
  load = asBuilt,
): Promise<Missed> {
  return format.outcome.is === "thrown"
    ? tryParser(format.outcome, format, runs, seed, load)
    : tryNear(format, runs, seed, doctor);
}

/** Whether near misses of a format find out the doctor with that change. */
export function areNoticed(
  format: Format,
  weakening: Weakening,
  runs: number,
  seed: number,
): Promise<boolean> {
  return withWeakened(weakening, async (doctor, load) => {
    try {
      await nearMisses(format, runs, seed, doctor, load);
      return false;
    } catch {
      return true;
    }
  });
}
