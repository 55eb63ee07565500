/** Arguments with one thing wrong in them: of another host, stale, misspelt, of a wrong type, out of range. */
import { EventfdContext, Host } from "irqbypass";
import type { Entry, Shape } from "../fuzz/surface.js";
import type { Stage } from "./stage.js";

export interface Variation {
  /** What is wrong. */
  readonly what: string;
  readonly given: readonly unknown[];
}

type Path = readonly (string | number)[];

/** Calls `visit` with each value in the arguments, those inside of plain objects and arrays too. */
function walk(given: readonly unknown[], visit: (path: Path, value: unknown) => void): void {
  const enter = (path: Path, value: unknown) => {
    visit(path, value);
    if (Array.isArray(value)) for (const [i, one] of value.entries()) enter([...path, i], one);
    else if (isPlain(value)) for (const [key, one] of Object.entries(value)) enter([...path, key], one);
  };
  for (const [i, value] of given.entries()) enter([i], value);
}

function isPlain(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && Object.getPrototypeOf(value) === Object.prototype;
}

/** The arguments with another value at a place. */
function replace(given: readonly unknown[], [first, ...rest]: Path, value: unknown): readonly unknown[] {
  const inner = (from: unknown, path: Path): unknown => {
    const [key, ...more] = path;
    if (key === undefined) return value;
    if (Array.isArray(from)) return from.with(key as number, inner(from[key as number], more));
    const object = from as Record<string, unknown>;
    return { ...object, [key]: inner(object[key], more) };
  };
  return given.map((one, i) => (i === first ? inner(one, rest) : one));
}

const text = (path: Path) => path.join(".");

export function foreign(entry: Entry, given: readonly unknown[], { foreign: other }: Stage): Variation[] {
  const found: Variation[] = [];
  walk(given, (path, value) => {
    if (!(value instanceof EventfdContext)) return;
    const isLinux = value === undefined || value.constructor.name === "LinuxEventfd";
    found.push({ what: text(path), given: replace(given, path, isLinux ? other.linux : other.spare) });
  });
  if (entry.parameters[1]?.name === "handle") {
    const handles: Readonly<Record<string, number>> = {
      Epoll: other.epoll.handle,
      Eventfd: other.eventfd.handle,
      LinuxEventfd: other.linux?.handle ?? 0,
      Vm: other.vm.handle,
      Vcpu: other.vm.vcpu(0).handle,
    };
    found.push({ what: "handle", given: [given[0], handles[entry.owner]] });
  }
  return found;
}

export function stale(entry: Entry, given: readonly unknown[], { own }: Stage): Variation[] {
  if (entry.parameters[1]?.name !== "handle") return [];
  const handles: Readonly<Record<string, number>> = {
    Epoll: own.staleEpoll,
    Eventfd: own.staleEventfd,
    LinuxEventfd: own.staleLinux,
    Vm: own.staleVm,
    Vcpu: own.staleVcpu,
  };
  return [{ what: "handle", given: [given[0], handles[entry.owner]] }];
}

/** Objects that are handed on as they are, or that others implement: their parts are not options. */
const NO_OPTIONS = ["ffi", "platform", "worker", "memory"];

export function misspelt(entry: Entry, given: readonly unknown[]): Variation[] {
  const found: Variation[] = [];
  walk(given, (path, value) => {
    const name = entry.parameters[path[0] as number]?.name ?? "";
    if (NO_OPTIONS.includes(name) || path.some((key) => NO_OPTIONS.includes(String(key)) || key === "kinds"))
      return;
    if (isPlain(value)) {
      for (const key of Object.keys(value)) {
        const { [key]: moved, ...others } = value;
        const wrong = `${key.slice(0, -1)}_`;
        found.push({
          what: text([...path, wrong]),
          given: replace(given, path, { ...others, [wrong]: moved }),
        });
      }
      found.push({
        what: text([...path, "nonsense"]),
        given: replace(given, path, { ...value, nonsense: 1 }),
      });
    } else if (typeof value === "string" && isChoice(shapeAt(entry, path))) {
      found.push({ what: `${text(path)} ${value}_`, given: replace(given, path, `${value}_`) });
    }
  });
  return found;
}

function shapeAt(entry: Entry, [first, ...rest]: Path): Shape | undefined {
  let shape = entry.parameters[first as number]?.shape;
  for (const key of rest) shape = shape === undefined ? undefined : inside(shape, key);
  return shape;
}

function inside(shape: Shape, key: string | number): Shape | undefined {
  if (shape.is === "union") {
    for (const one of shape.of) {
      const found = inside(one, key);
      if (found !== undefined) return found;
    }
    return undefined;
  }
  if (shape.is === "array") return shape.of;
  return shape.is === "object" ? shape.properties.find(({ name }) => name === key)?.shape : undefined;
}

function isChoice(shape: Shape | undefined): boolean {
  if (shape?.is === "union") return shape.of.some(isChoice);
  return shape?.is === "literal" && typeof shape.value === "string";
}

/** What is of another type than the value that stands there. */
function others(value: unknown): readonly unknown[] {
  switch (typeof value) {
    case "number":
      return ["1", null, {}, [], true, Number.NaN];
    case "bigint":
      return ["1", null, {}, true];
    case "boolean":
      return [1, "true", null, {}];
    case "string":
      return [7, null, {}, true];
    case "function":
      return [7, "f", {}, null];
    default:
      return Array.isArray(value) ? [7, null, "x", {}] : [7, null, "x", true, () => {}];
  }
}

export function wrongTypes(entry: Entry, given: readonly unknown[]): Variation[] {
  const found: Variation[] = [];
  walk(given, (path, value) => {
    if (value === undefined || value === null) return;
    const name = entry.parameters[path[0] as number]?.name ?? "";
    if (name === "ffi" || (path.length > 1 && (value instanceof Host || name === "worker"))) return;
    if (path.some((key) => key === "kinds") && path.length > 2) return;
    if (path.includes("memory") && path.at(-1) !== "memory") return;
    for (const wrong of others(value)) {
      // A cleared trigger, where an eventfd is wanted or none; a word for what an object names.
      if (wrong === null && value instanceof EventfdContext && mayBeNull(shapeAt(entry, path))) continue;
      found.push({
        what: `${text(path)} is ${String(typeof wrong)} ${show(wrong)}`,
        given: replace(given, path, wrong),
      });
    }
  });
  return found;
}

const show = (value: unknown) =>
  typeof value === "function" ? "f" : (JSON.stringify(value) ?? String(value));

function mayBeNull(shape: Shape | undefined): boolean {
  if (shape?.is === "union") return shape.of.some(mayBeNull);
  return shape?.is === "null";
}

const RANGE = [-1, 0.5, 2 ** 31, 2 ** 32, 2 ** 53, -(2 ** 40), Infinity, 1e9];

export function outOfRange(_: Entry, given: readonly unknown[]): Variation[] {
  const found: Variation[] = [];
  walk(given, (path, value) => {
    if (typeof value !== "number" || path.at(-1) === "timeoutMs") return;
    for (const wrong of RANGE)
      found.push({ what: `${text(path)} is ${wrong}`, given: replace(given, path, wrong) });
  });
  return found;
}
