/** Arguments with one thing wrong in them: of another host, ended, stale, misspelt, of a wrong type, out of range. */
import { type ErrorCode, EventfdContext, Host } from "irqbypass";
import { Kvm } from "irqbypass/kvm";
import { LinuxEventfd } from "irqbypass/linux";
import type { Entry, Shape } from "../fuzz/surface.js";
import { CODES, type Fault, rangeOf } from "./codes.js";
import type { Side, Stage } from "./stage.js";

/** Where in the arguments: which of them, and which part of that. */
export type Path = readonly (string | number)[];

export interface Variation {
  /** What is wrong. */
  readonly what: string;
  readonly path: Path;
  /** What it is refused with; undefined where it is not, since it is odd and right. */
  readonly code: ErrorCode | undefined;
  /** The arguments with that. */
  apply(given: readonly unknown[]): readonly unknown[];
}

export type Vary = (entry: Entry, given: readonly unknown[], stage: Stage) => Variation[];

/** All that may be wrong with arguments. */
export const VARIATIONS: Readonly<Partial<Record<Fault, Vary>>> = {
  "of another host": foreign,
  "an argument has ended": ended,
  "stale handle": (entry, given, { own }) => handles(entry, given, "stale handle", staleHandles(own)),
  "handle of something else": (entry, given, { own }) =>
    handles(entry, given, "handle of something else", otherHandles(own)),
  misspelt,
  "wrong type": wrongTypes,
  "cannot be read": unreadable,
  "out of range": outOfRange,
};

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

/** Another value at a place. */
function put(path: Path, value: unknown, code: ErrorCode | undefined, what = text(path)): Variation {
  return { what, path, code, apply: (given) => replace(given, path, value) };
}

function foreign(entry: Entry, given: readonly unknown[], { foreign: other }: Stage): Variation[] {
  const code = CODES["of another host"];
  const found = handles(entry, given, "of another host", {
    Epoll: other.epoll.handle,
    Eventfd: other.eventfd.handle,
    LinuxEventfd: other.linux?.handle,
    Vm: other.vm.handle,
    Vcpu: other.vm.vcpu(0).handle,
    Irqfd: other.lone.handle,
  });
  walk(given, (path, value) => {
    if (!(value instanceof EventfdContext)) return;
    found.push(put(path, value instanceof LinuxEventfd ? other.linux : other.spare, code));
  });
  return found;
}

/** Objects that the caller has ended, where living ones are wanted. */
function ended(_: Entry, given: readonly unknown[], { own, goneKvm }: Stage): Variation[] {
  const code = CODES["an argument has ended"];
  const found: Variation[] = [];
  walk(given, (path, value) => {
    if (value instanceof LinuxEventfd) found.push(put(path, own.goneLinux, code));
    else if (value instanceof EventfdContext) found.push(put(path, own.goneEventfd, code));
    else if (value instanceof Host) found.push(put(path, own.goneHost, code));
    else if (value instanceof Kvm) found.push(put(path, goneKvm, code));
  });
  return found;
}

const staleHandles = (own: Side) => ({
  Epoll: own.goneHandles.epoll,
  Eventfd: own.goneHandles.eventfd,
  LinuxEventfd: own.goneHandles.linux,
  Vm: own.goneHandles.vm,
  Vcpu: own.goneHandles.vcpu,
  Irqfd: own.goneHandles.irqfd,
});

const otherHandles = (own: Side) => ({
  Epoll: own.vm.handle,
  Eventfd: own.vm.handle,
  LinuxEventfd: own.vm.handle,
  Vm: own.vm.vcpu(0).handle,
  Vcpu: own.vm.handle,
  Irqfd: own.vm.handle,
});

/** Another handle, by the class that opens it. */
function handles(
  entry: Entry,
  given: readonly unknown[],
  fault: Fault,
  by: Readonly<Record<string, number | undefined>>,
): Variation[] {
  const at = entry.parameters.findIndex(({ name }) => name === "handle");
  const handle = by[entry.owner];
  if (at < 1 || given[at] === undefined || handle === undefined) return [];
  return [put([at], handle, CODES[fault])];
}

/** Objects that are handed on as they are, or that others implement: their parts are not options. */
const NO_OPTIONS = ["ffi", "platform", "worker", "memory"];

function misspelt(entry: Entry, given: readonly unknown[]): Variation[] {
  const code = CODES.misspelt;
  const found: Variation[] = [];
  walk(given, (path, value) => {
    const name = entry.parameters[path[0] as number]?.name ?? "";
    if (NO_OPTIONS.includes(name) || path.some((key) => NO_OPTIONS.includes(String(key)) || key === "kinds"))
      return;
    if (isPlain(value)) {
      for (const key of Object.keys(value)) {
        const { [key]: moved, ...others } = value;
        const wrong = `${key.slice(0, -1)}_`;
        found.push(put(path, { ...others, [wrong]: moved }, code, text([...path, wrong])));
      }
      found.push(put(path, { ...value, nonsense: 1 }, code, text([...path, "nonsense"])));
    } else if (typeof value === "string" && isChoice(shapeAt(entry, path))) {
      found.push(put(path, `${value}_`, code, `${text(path)} ${value}_`));
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

function takes(shape: Shape | undefined, is: Shape["is"]): boolean {
  return shape?.is === "union" ? shape.of.some((one) => takes(one, is)) : shape?.is === is;
}

/** Is this one of the values that it names? */
function admits(shape: Shape | undefined, value: unknown): boolean {
  if (shape?.is === "union") return shape.of.some((one) => admits(one, value));
  return shape?.is === "literal" && shape.value === value;
}

/** What is of another type than the value that stands there. */
function others(value: unknown): readonly unknown[] {
  switch (typeof value) {
    case "number":
      return ["1", null, {}, [], true, 1n, Symbol("1")];
    case "bigint":
      return ["1", null, {}, true];
    case "boolean":
      return [1, "true", null, {}];
    case "string":
      return [7, null, {}, true, 1n, Symbol("s")];
    case "function":
      return [7, "f", {}, null];
    default:
      return Array.isArray(value) ? [7, null, "x", {}] : [7, null, "x", true, () => {}, 1n];
  }
}

function wrongTypes(entry: Entry, given: readonly unknown[], { own }: Stage): Variation[] {
  const code = CODES["wrong type"];
  const otherSort = { Eventfd: own.linux?.handle, LinuxEventfd: own.eventfd.handle };
  const found = handles(entry, given, "wrong type", otherSort);
  walk(given, (path, value) => {
    if (value === undefined || value === null) return;
    const name = entry.parameters[path[0] as number]?.name ?? "";
    if (path.length > 1 && (name === "ffi" || name === "worker" || value instanceof Host)) return;
    if (path.some((key) => key === "kinds") && path.length > 2) return;
    if (path.includes("memory") && path.at(-1) !== "memory") return;
    const shape = shapeAt(entry, path);
    for (const wrong of others(value)) {
      // A cleared trigger, where an eventfd is wanted or none; a wide number; an address, at which anything may be.
      if (wrong === null && value instanceof EventfdContext && takes(shape, "null")) continue;
      if (typeof wrong === "bigint" && takes(shape, "bigint")) continue;
      if (typeof wrong === "number" && takes(shape, "number")) continue;
      if (typeof wrong === "boolean" && (takes(shape, "boolean") || admits(shape, wrong))) continue;
      found.push(put(path, wrong, code, `${text(path)} is ${typeof wrong} ${show(wrong)}`));
    }
    const parameter = entry.parameters[path[0] as number];
    if (path.length === 1 && parameter?.optional === false)
      found.push(put(path, undefined, code, `${text(path)} is left out`));
  });
  return found;
}

/** A proxy that was revoked, one that throws whatever is asked of it, and parts that throw, or say something else the second time. */
function unreadable(entry: Entry, given: readonly unknown[]): Variation[] {
  const code = CODES["cannot be read"];
  const found: Variation[] = [];
  walk(given, (path, value) => {
    if (typeof value !== "object" || value === null) return;
    const names = [entry.parameters[path[0] as number]?.name ?? "", ...path.map(String)];
    if (path.length > 1 && names.some((name) => IMPLEMENTED.includes(name))) return;
    const { proxy, revoke } = Proxy.revocable(Array.isArray(value) ? [] : {}, {});
    revoke();
    found.push(put(path, proxy, code, `${text(path)} is a proxy that was revoked`));
    found.push(put(path, new Proxy({}, THROWS), code, `${text(path)} is a proxy that throws`));
    if (!isPlain(value) || names.some((name) => IMPLEMENTED.includes(name))) return;
    for (const key of Object.keys(value)) {
      const throwing = Object.defineProperty({ ...value }, key, { get: fail, enumerable: true });
      found.push(put(path, throwing, code, `${text([...path, key])} throws`));
    }
    found.push({
      what: `${text(path)} says something else the second time`,
      path,
      code: undefined,
      apply: (all) => replace(all, path, fickle(value)),
    });
  });
  return found;
}

/** What others implement is called, again and again, rather than read. */
const IMPLEMENTED = ["ffi", "worker", "platform", "kinds", "ops", "lapic"];

function fail(): never {
  throw new Error("not to be read");
}

const THROWS: ProxyHandler<object> = {
  get: fail,
  has: fail,
  ownKeys: fail,
  getPrototypeOf: fail,
  getOwnPropertyDescriptor: fail,
};

function fickle(value: Readonly<Record<string, unknown>>): object {
  const read = new Set<string>();
  const once = (key: string) => () => {
    if (read.has(key)) return Symbol(key);
    read.add(key);
    return value[key];
  };
  const parts = Object.keys(value).map((key) => [key, { get: once(key), enumerable: true }] as const);
  return Object.defineProperties({}, Object.fromEntries(parts));
}

const show = (value: unknown) =>
  typeof value === "object" ? (JSON.stringify(value) ?? "f") : String(value).slice(0, 12);

const ODD = [
  -1,
  0.5,
  -0.5,
  2 ** 31,
  2 ** 32,
  2 ** 32 + 1,
  2 ** 53,
  -(2 ** 40),
  1e9,
  Infinity,
  -Infinity,
  Number.NaN,
];

function outOfRange(entry: Entry, given: readonly unknown[]): Variation[] {
  const found: Variation[] = [];
  walk(given, (path, value) => {
    if (typeof value !== "number" || path.at(-1) === "timeoutMs") return;
    const { takes: fits, code } = rangeOf(entry, text(path));
    for (const odd of ODD)
      found.push(put(path, odd, fits(odd) ? undefined : code(odd), `${text(path)} is ${odd}`));
  });
  return found;
}
