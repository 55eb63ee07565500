/**
 * What the schemas of workload files share: each place says in words what it takes, and every problem of a file is
 * one sentence with its path, what was found and what is allowed.
 */
import * as v from "valibot";

/** A workload that cannot be run. `problems` has one sentence for each thing that is wrong, in file order. */
export class WorkloadError extends Error {
  readonly problems: readonly string[];

  constructor(source: string, problems: readonly string[]) {
    super(`${source} is not a workload that can be run:\n${problems.map((line) => `  ${line}`).join("\n")}`);
    this.name = "WorkloadError";
    this.problems = problems;
  }
}

/**
 * What is allowed at each place of a file, by path with the list positions left out. A field without a line does not
 * exist.
 */
export type Allowed = Readonly<Record<string, string>>;

export const whole = (low: number, high: number) =>
  v.pipe(v.number(), v.integer(), v.minValue(low), v.maxValue(high));
export const between = (low: number, high: number) => v.pipe(v.number(), v.minValue(low), v.maxValue(high));
// `strictObject` stops at the first unknown field; a rest of `never` reports each of them.
export const object = <Entries extends v.ObjectEntries>(entries: Entries) =>
  v.objectWithRest(entries, v.never());

/** One sentence for each issue of a schema. */
export function schemaProblems(issues: readonly v.BaseIssue<unknown>[], allowed: Allowed): string[] {
  return [...new Set(issues.map((issue) => schemaProblem(issue, allowed)))];
}

function schemaProblem(issue: v.BaseIssue<unknown>, allowed: Allowed): string {
  const keys = (issue.path ?? []).map((item) => item.key as string | number);
  const path = keys.reduce<string>(join, "");
  const pattern = path.replaceAll(/\[\d+\]/g, "[]");
  const last = issue.path?.at(-1);
  const place = path === "" ? "the file" : path;
  if (issue.expected === "never") {
    const parent = pattern.slice(0, Math.max(0, pattern.lastIndexOf(".")));
    return `${place}: there is no such field; allowed: ${fieldsOf(parent, allowed).join(", ")}`;
  }
  // An issue about the key itself, not about its value: the field is not there.
  const found = last?.origin === "key" ? "nothing" : shown(last === undefined ? issue.input : last.value);
  return refused(place, found, allowed[pattern] ?? String(issue.expected));
}

function join(path: string, key: string | number): string {
  if (typeof key === "number") return `${path}[${key}]`;
  return path === "" ? key : `${path}.${key}`;
}

/** The names of the fields that an object at this place may have. */
function fieldsOf(parent: string, allowed: Allowed): string[] {
  const prefix = parent === "" ? "" : `${parent}.`;
  return Object.keys(allowed)
    .filter((path) => path !== "" && path.startsWith(prefix) && !/[.[]/.test(path.slice(prefix.length)))
    .map((path) => path.slice(prefix.length));
}

export function refused(place: string, found: string, allowed: string): string {
  return `${place}: found ${found}; allowed: ${allowed}`;
}

/** A value as a message shows it: JSON, cut short. */
export function shown(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value);
  return text.length <= 40 ? text : `${text.slice(0, 39)}…`;
}

export function number(value: number): string {
  return value.toLocaleString("en-US");
}

export function plural(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? "" : "s"}`;
}
