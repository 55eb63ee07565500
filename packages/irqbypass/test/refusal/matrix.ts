/** The refusal matrix: every public call in every state in which it may be refused, and what is left of it then. */
import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import * as core from "irqbypass";
import { IrqBypassError } from "irqbypass";
import * as kvmEntry from "irqbypass/kvm";
import * as linuxEntry from "irqbypass/linux";
import { POOLS } from "#src/host/layout.js";
import { type Entry, readSurface } from "../fuzz/surface.js";
import { takeDescriptors, takeRecords } from "./exhaust.js";
import { Holder } from "./holder.js";
import { ANSWERS, ENDS, GIVEN, LEFT_OUT, OTHER_RECEIVERS, RECEIVERS } from "./rows.js";
import { CALLBACKS, Stage, type With } from "./stage.js";
import { foreign, misspelt, outOfRange, stale, type Variation, wrongTypes } from "./variations.js";
import { wordsOf } from "./words.js";

const EXPORTS: Readonly<Record<string, unknown>> = { ...kvmEntry, ...linuxEntry, ...core };
const PATIENCE_MS = 30_000;
/** A call that is refused with so many left is refused for something else. */
const MOST_DESCRIPTORS = 40;
/** What waits by itself, and has an asynchronous form for those who may not. */
const WAITS = /(Epoll|Eventfd|EventfdContext|Vcpu)\.prototype\.(read|wait)$/;

export type State =
  | "as it should be"
  | "in a callback"
  | "on what has ended"
  | "of another host"
  | "stale handle"
  | "misspelt"
  | "wrong type"
  | "out of range"
  | "no record left"
  | "no descriptor left"
  | "may not block";

/** How often each state was called, and how often that was refused. */
export type Counts = Record<State, { calls: number; refused: number }>;

/** May it succeed, must it, or must it be refused? And with which codes. */
interface Expected {
  readonly succeeds: "never" | "always" | "may";
  readonly codes: readonly string[];
}

const ANY_BAD = [
  "EINVAL",
  "EBADF",
  "ENOBUFS",
  "ENOTTY",
  "ENOSPC",
  "E2BIG",
  "EXDEV",
  "ESTALE",
  "EBUSY",
  "ENOENT",
  "EPERM",
  "EFAULT",
];

export class Matrix {
  readonly counts = {} as Counts;
  readonly faults: string[] = [];
  private holder: Holder | undefined;

  constructor(
    private readonly entries: readonly Entry[],
    private readonly what: With,
    /** Another object in the place of a receiver, for a twin that is to be found. */
    private readonly replaced: (name: string, receiver: object) => object = (_, receiver) => receiver,
  ) {}

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
      if (LEFT_OUT.some(([name]) => name.test(entry.name))) continue;
      if (!this.hasRow(entry)) {
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

  private hasRow({ how, owner, name, parameters }: Entry): boolean {
    const needs = parameters.some(({ optional }) => !optional);
    if (needs && GIVEN[name] === undefined) return false;
    return how === "function" || how === "static" || how === "new" || RECEIVERS[owner] !== undefined;
  }

  private async plain(entry: Entry): Promise<void> {
    await this.on(entry, "as it should be", { succeeds: "always", codes: [] });
  }

  private async callbacks(entry: Entry): Promise<void> {
    let stage: Stage | undefined;
    for (const callback of CALLBACKS) {
      stage ??= new Stage(this.what);
      const here = stage;
      const [call, given] = this.prepare(entry, here);
      let made: Promise<boolean> | undefined;
      here.inside(callback, () => {
        made = this.judge(entry, `in a callback`, here, () => call(given), {
          succeeds: "may",
          codes: ["EDEADLK"],
        });
      });
      if (!(await made!)) {
        here.end();
        stage = undefined;
      }
    }
    if (stage === undefined) return;
    // The cause is gone.
    const [call, given] = this.prepare(entry, stage);
    await this.judge(entry, "as it should be", stage, () => call(given), { succeeds: "always", codes: [] });
    stage.end();
  }

  private async ended(entry: Entry): Promise<void> {
    const { owner, how, name } = entry;
    const end = ENDS[owner];
    if (end === undefined || how === "static" || how === "new" || how === "function") return;
    const stage = new Stage(this.what);
    const [call, given, receiver] = this.prepare(entry, stage);
    end(stage, receiver);
    const answers = ANSWERS.some((one) => (typeof one === "string" ? one === name : one.test(name)));
    const expected: Expected = { succeeds: answers ? "may" : "never", codes: ["EBADF"] };
    await this.judge(entry, "on what has ended", stage, () => call(given), expected, true);
    stage.end();
  }

  private async arguments(entry: Entry): Promise<void> {
    const kinds: readonly (readonly [
      State,
      (entry: Entry, given: readonly unknown[], stage: Stage) => Variation[],
      Expected,
    ])[] = [
      ["of another host", foreign, { succeeds: "never", codes: ["EXDEV"] }],
      ["stale handle", stale, { succeeds: "never", codes: ["ESTALE"] }],
      ["misspelt", misspelt, { succeeds: "never", codes: ["EINVAL"] }],
      ["wrong type", wrongTypes, { succeeds: "never", codes: ANY_BAD }],
      [
        "out of range",
        outOfRange,
        { succeeds: "may", codes: [...ANY_BAD, "ENOMEM", "ETIMEDOUT", "EAGAIN", "EOPNOTSUPP"] },
      ],
    ];
    for (const [state, vary, expected] of kinds) {
      let stage: Stage | undefined;
      for (let number = 0; ; number++) {
        stage ??= new Stage(this.what);
        const [call, given] = this.prepare(entry, stage);
        const variation = vary(entry, given, stage)[number];
        if (variation === undefined) break;
        const label = `${state}: ${variation.what}`;
        if (await this.judge(entry, state, stage, () => call(variation.given), expected, false, label))
          continue;
        stage.end();
        stage = undefined;
      }
      stage?.end();
    }
  }

  private async pools(entry: Entry): Promise<void> {
    if (entry.how === "get") return;
    for (const { name } of POOLS) {
      const stage = new Stage(this.what);
      const [call, given] = this.prepare(entry, stage);
      const made = () => call(given);
      const give = takeRecords(stage.own.host, name);
      const expected: Expected = { succeeds: "may", codes: ["ENOMEM"] };
      const label = `no record left: ${name}`;
      const refused = await this.judge(entry, "no record left", stage, made, expected, false, label);
      give();
      if (refused) await this.again(entry, stage, made, `${label}, given back`);
      stage.end();
    }
  }

  /** With no descriptor left, then with one, until it has what it needs. */
  private async descriptors(entry: Entry): Promise<void> {
    if (entry.how === "get") return;
    for (let left = 0, refused = true; refused && left < MOST_DESCRIPTORS; left++) {
      const stage = new Stage(this.what);
      const [call, given] = this.prepare(entry, stage);
      const made = () => call(given);
      const expected: Expected = { succeeds: "may", codes: ["EMFILE"] };
      const label = `no descriptor left but ${left}`;
      const scarce = () => during(takeDescriptors(left), made);
      refused = await this.judge(entry, "no descriptor left", stage, scarce, expected, false, label);
      if (refused) await this.again(entry, stage, made, `${label}, given back`);
      if (refused && left === MOST_DESCRIPTORS - 1) this.faults.push(`${entry.name}, ${label}: refused`);
      stage.end();
    }
  }

  private async blocking(entry: Entry): Promise<void> {
    for (const which of ["the host", "the VM"] as const) {
      const stage = new Stage(this.what, false);
      const [call, given] = this.prepare(entry, stage);
      const expected: Expected = { succeeds: "may", codes: ["EAGAIN"] };
      const held = () => stage.withMutexHeld(which, this.holder!, () => call(given));
      const label = `may not block, and somebody has the mutex of ${which}`;
      if (await this.judge(entry, "may not block", stage, held, expected, false, label))
        await this.again(entry, stage, () => call(given), `${label}, free again`);
      stage.end();
    }
  }

  /** The same call, the cause gone. A wait where one may not block stays refused. */
  private async again(entry: Entry, stage: Stage, call: () => unknown, label: string): Promise<void> {
    const waits = !stage.own.host.thread.mayBlock && WAITS.test(entry.name);
    const expected: Expected = waits
      ? { succeeds: "never", codes: ["EAGAIN"] }
      : { succeeds: "always", codes: [] };
    await this.judge(entry, "as it should be", stage, call, expected, false, label);
  }

  private async on(entry: Entry, state: State, expected: Expected): Promise<void> {
    const stage = new Stage(this.what);
    const [call, given] = this.prepare(entry, stage);
    await this.judge(entry, state, stage, () => call(given), expected);
    stage.end();
  }

  /** The call, the arguments with which it succeeds, and what it is made on. */
  private prepare(
    entry: Entry,
    stage: Stage,
  ): [(given: readonly unknown[]) => unknown, readonly unknown[], object] {
    const { name, owner, member, how } = entry;
    const given = GIVEN[name]?.(stage) ?? [];
    const type = EXPORTS[owner] as (new (
      ...all: unknown[]
    ) => object) &
      Record<string, (...all: unknown[]) => unknown>;
    if (how === "function")
      return [
        (all) => {
          const came = (EXPORTS[member] as (...all: unknown[]) => unknown)(...all);
          if (came instanceof IrqBypassError) throw came; // whyNoKvm answers with it
          return came;
        },
        given,
        {},
      ];
    if (how === "new") return [(all) => new type(...all), given, {}];
    if (how === "static") return [(all) => type[member]!(...all), given, {}];
    const receiver = this.replaced(name, (OTHER_RECEIVERS[name] ?? RECEIVERS[owner]!)(stage));
    const one = receiver as Record<string | symbol, unknown>;
    const key = member === "@@dispose" ? Symbol.dispose : member;
    if (how === "get") return [() => one[key], given, receiver];
    if (how === "set") return [([value]) => (one[key] = value), given, receiver];
    return [(all) => (one[key] as (...all: unknown[]) => unknown).apply(receiver, [...all]), given, receiver];
  }

  /** Makes a call and judges what came of it. Returns whether it was refused, and so the stage is as before. */
  private async judge(
    { name }: Entry,
    state: State,
    stage: Stage,
    call: () => unknown,
    { succeeds, codes }: Expected,
    unchanged = false,
    label: string = state,
  ): Promise<boolean> {
    this.counts[state] ??= { calls: 0, refused: 0 };
    this.counts[state].calls += 1;
    const before = [stage.own, stage.foreign].map(({ host }) => wordsOf(host));
    const descriptors = this.what === "core" ? 0 : openDescriptors();
    const fault = (what: string) => this.faults.push(`${name}, ${label}: ${what}`);
    const compareAt = () => {
      const after = [stage.own, stage.foreign].map(({ host }) => wordsOf(host));
      return () => {
        after.forEach((words, i) => {
          const changed = words.compare(before[i]!);
          const whose = i === 0 ? "" : "of the other host ";
          if (changed.length > 0) fault(`${whose}the words ${changed.slice(0, 8).join(", ")} have changed`);
        });
      };
    };
    let compare = () => compareAt()();
    try {
      const result = call();
      if (result instanceof Promise) {
        result.catch(() => {});
        compare = compareAt(); // it is another call's turn after this
        await bounded(result);
      }
      if (succeeds === "never") fault("it succeeded");
      if (unchanged) compare();
      return false;
    } catch (error) {
      this.counts[state].refused += 1;
      if (!(error instanceof IrqBypassError))
        fault(`it threw ${error instanceof Error ? error.stack : String(error)}`);
      else if (succeeds === "always") fault(`it was refused: ${error.message}`);
      else if (!codes.includes(error.code))
        fault(`it was refused with ${error.message}, and not with ${codes.join(" or ")}`);
      compare();
      if (this.what !== "core" && openDescriptors() !== descriptors)
        fault("it has left a descriptor open or closed");
      return true;
    }
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
  const states = Object.entries(matrix.counts);
  for (const [state, { calls }] of states) assert.ok(calls > 0, state);
  return states.map(([state, { calls, refused }]) => `${state}: ${calls}, ${refused} refused`).join("; ");
}

const openDescriptors = () => readdirSync("/proc/self/fd").length;

async function bounded(result: Promise<unknown>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error("it was not settled")), PATIENCE_MS);
  });
  try {
    await Promise.race([result, late]);
  } finally {
    clearTimeout(timer);
  }
}
