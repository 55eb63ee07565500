/** Workload files: random JSON, and the shipped examples with something in them changed. */
import { readdirSync, readFileSync } from "node:fs";
import { WorkloadError } from "#src/cli/file-schema.js";
import { parseWorkload } from "#src/cli/workload-file.js";
import { EXAMPLES } from "../support/examples.js";
import type { Random } from "./random.js";

const ODD: readonly unknown[] = [
  null,
  true,
  false,
  0,
  -1,
  1,
  1.5,
  1e9,
  1e308,
  2 ** 53,
  "",
  "0",
  "posted",
  "prefer",
  "x".repeat(300),
  "\u0000",
  [],
  {},
  [[]],
  [null],
  { name: "x" },
  { __proto__: null },
  ["a", "a"],
];

const examples: readonly string[] = readdirSync(EXAMPLES)
  .filter((name) => name.endsWith(".json"))
  .map((name) => readFileSync(EXAMPLES + name, "utf8"));

/** Parses and checks one file. Returns whether it is a workload; throws what is no typed error. */
export function tryWorkload(random: Random): boolean {
  try {
    parseWorkload(text(random), "the fuzz");
    return true;
  } catch (error) {
    if (error instanceof WorkloadError) return false;
    throw error;
  }
}

function text(random: Random): string {
  const example = random.of(examples);
  switch (random.below(6)) {
    case 0:
      return cut(example, random);
    case 1:
      return JSON.stringify(json(random, 0));
    case 2:
      return Array.from({ length: random.below(60) }, () => random.of([...'{}[]",:0-1.eE tfn\\u\n'])).join(
        "",
      );
    default: {
      const value: unknown = JSON.parse(example);
      for (let left = 1 + random.below(3); left > 0; left--) mutate(value, random);
      return JSON.stringify(value);
    }
  }
}

function cut(from: string, random: Random): string {
  const at = random.below(from.length + 1);
  return (
    from.slice(0, at) +
    random.of(["", "}", ",", "\u0000", "\ud800", from.slice(random.below(from.length))]) +
    from.slice(at + random.below(8))
  );
}

function json(random: Random, depth: number): unknown {
  if (depth > 4 || random.oneIn(3)) return odd(random);
  const entries = Array.from({ length: random.below(4) }, () => json(random, depth + 1));
  if (random.oneIn(2)) return entries;
  return Object.fromEntries(
    entries.map((value) => [random.of(["vms", "devices", "name", "vcpus", "routes", "signals"]), value]),
  );
}

/** A copy: what is changed next must not be the list's own. */
function odd(random: Random): unknown {
  return structuredClone(random.of(ODD));
}

/** Changes, removes or adds one thing somewhere in a value. */
function mutate(value: unknown, random: Random): void {
  if (typeof value !== "object" || value === null) return;
  const holder = value as Record<string, unknown>;
  const keys = Object.keys(holder);
  if (keys.length === 0) return;
  const key = random.of(keys);
  const inner = holder[key];
  if (typeof inner === "object" && inner !== null && !random.oneIn(4)) {
    mutate(inner, random);
    return;
  }
  const how = random.below(4);
  if (how === 0) delete holder[key];
  else if (how === 1) holder[`${key}s`] = inner;
  else if (how === 2 && Array.isArray(value)) value.push(...(value as unknown[]));
  else holder[key] = odd(random);
}
