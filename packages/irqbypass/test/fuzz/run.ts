/** Calls entries at random: each call ends in a result or in a typed error, with the audit of the host clean after it. */
import { inspect } from "node:util";
import { ExplorerError } from "atomics-explorer";
import { IrqBypassError } from "irqbypass";
import { ERRNO } from "#src/host/errors.js";
import { Random } from "./random.js";
import type { Entry, Surface } from "./surface.js";
import { FromCallback, Values } from "./values.js";
import { EXPORTS, World, type WorldKind } from "./world.js";

/**
 * What the explorer's own parts pass to each other: a setup, settings, a report, a chart. They take what other calls of the
 * explorer returned, or a function that somebody wrote, and look at none of it. So do the methods of Explorer.
 */
export const UNCHECKED: readonly string[] = [
  "chartOf",
  "count",
  "drawChart",
  "new ExplorerError",
  "exploreSubject",
  "formatSchedule",
  "new Explorer",
  "override",
  "replay",
  "reportText",
  "saveTest",
  "sharedArray",
  "shorten",
  "subjectsOf",
];

/** Calls in one world, before another is made. */
const CALLS = 200;
const PATIENCE_MS = 5000;

export interface Work {
  readonly surface: Surface;
  readonly kind: WorldKind;
  readonly seed: number;
  readonly cases: number;
}

export interface Outcome {
  /** Calls of each entry: all of them, and those that were refused. */
  readonly calls: Readonly<Record<string, { readonly all: number; readonly refused: number }>>;
  readonly failures: readonly string[];
}

const MOST_FAILURES = 40;

/** Runs so many cases; `tell` hears of each before it is run. */
export async function run(
  { surface, kind, seed, cases }: Work,
  tell: (what: string) => void,
): Promise<Outcome> {
  const entries = entriesOf(surface, kind);
  const classes = new Set(surface.classes);
  const calls: Record<string, { all: number; refused: number }> = {};
  for (const { name } of entries) calls[name] = { all: 0, refused: 0 };
  const failures = new Map<string, string>();
  let done = 0;
  for (let number = 0; done < cases; number++) {
    const random = new Random(seed + number * 7919);
    const world = new World(kind, classes);
    const values = new Values(random, world);
    let sound = true;
    for (let call = 0; call < CALLS && done < cases && sound; call++, done++) {
      const entry = random.of(entries);
      const given = values.arguments(entry.parameters);
      const what = () =>
        `${entry.name}(${given.map(show).join(", ")})  [seed ${seed}, world ${number}, call ${call}]`;
      tell(entry.name);
      const counter = calls[entry.name]!;
      counter.all += 1;
      let fault: string | undefined;
      try {
        const result = await bounded(invoke(entry, world, random, given));
        for (const one of Array.isArray(result) ? result : [result]) keep(world, entry, one);
      } catch (error) {
        counter.refused += 1;
        fault = faultOf(error);
      }
      if (fault === undefined) fault = audit(world);
      if (fault !== undefined) {
        sound = false;
        const key = `${entry.name}: ${fault.split("\n")[0]}`;
        if (!failures.has(key)) failures.set(key, `${what()}\n    ${fault}`);
        if (failures.size >= MOST_FAILURES) return { calls, failures: [...failures.values()] };
      }
    }
    if (!sound) continue;
    try {
      world.dispose();
      const left = audit(world);
      if (left !== undefined)
        failures.set(`end: ${left}`, `at the end of world ${number}, seed ${seed}: ${left}`);
    } catch (error) {
      const fault = faultOf(error);
      if (fault !== undefined)
        failures.set(`end: ${fault}`, `at the end of world ${number}, seed ${seed}: ${fault}`);
    }
  }
  return { calls, failures: [...failures.values()] };
}

/** The entries that a world of this kind can call. */
export function entriesOf({ entries }: Surface, kind: WorldKind): Entry[] {
  return entries.filter(
    ({ from, name, owner }) => from === kind && !UNCHECKED.includes(name) && owner !== "Explorer",
  );
}

function invoke(entry: Entry, world: World, random: Random, given: readonly unknown[]): unknown {
  const { how, owner, member } = entry;
  if (how === "function") return (EXPORTS[member] as (...all: unknown[]) => unknown)(...given);
  const type = EXPORTS[owner] as (new (
    ...all: unknown[]
  ) => object) &
    Record<string, (...all: unknown[]) => unknown>;
  if (how === "new") return new type(...given);
  if (how === "static") return type[member]!(...given);
  const receiver = world.instance(owner, random) as Record<string | symbol, unknown> | undefined;
  if (receiver === undefined) throw new Error(`the world has no ${owner}`);
  const key = member === "@@dispose" ? Symbol.dispose : member;
  if (how === "get") return receiver[key];
  if (how === "set") {
    receiver[key] = given[0];
    return undefined;
  }
  return (receiver[key] as (...all: unknown[]) => unknown).apply(receiver, [...given]);
}

/** What a call made lives on, but for hosts: their threads and clocks would pile up. */
function keep(world: World, entry: Entry, made: unknown): void {
  if (entry.how === "static" && entry.owner === "Host") (made as Partial<Disposable>)[Symbol.dispose]?.();
  else world.keep(made);
}

async function bounded(result: unknown): Promise<unknown> {
  if (!(result instanceof Promise)) return result;
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error("the promise was not settled")), PATIENCE_MS);
  });
  try {
    return await Promise.race([result, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** What is wrong with an error; undefined if it is a refusal as they should be. */
function faultOf(error: unknown): string | undefined {
  if (error instanceof FromCallback) return undefined;
  if (error instanceof DOMException && error.name === "AbortError") return undefined; // the caller's own signal
  // A class for a callback is a function that throws when it is called: the caller's own, as any callback's error.
  if (error instanceof TypeError && /^Class constructor \w+ cannot be invoked/.test(error.message))
    return undefined;
  if (error instanceof ExplorerError) return undefined; // the explorer's own
  if (!(error instanceof IrqBypassError))
    return error instanceof Error ? (error.stack ?? error.message) : show(error);
  return error.code in ERRNO ? undefined : `${error.code} is no code`;
}

function audit(world: World): string | undefined {
  for (const host of world.auditors) {
    const { findings } = host.audit();
    if (findings.length > 0) return `audit: ${findings.map(({ message }) => message).join("; ")}`;
  }
  return undefined;
}

function show(value: unknown): string {
  try {
    return inspect(value, { depth: 1, breakLength: Infinity, maxArrayLength: 5, maxStringLength: 40 }).slice(
      0,
      200,
    );
  } catch {
    return "what cannot be shown";
  }
}
