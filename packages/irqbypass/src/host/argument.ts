/**
 * What a caller passed, looked at before anything is done with it: types are gone at run time, and JavaScript callers have
 * none. Every check throws EINVAL with a sentence. An object is read here once, before its call looks at anything else: a getter or
 * a proxy may throw, say something else the second time, or end what the call is about.
 */
import { IrqBypassError } from "./errors.js";
import { nearest } from "./spelling.js";

/** A value as a sentence shows it: short, and whatever it is without running code of its own. */
export function show(value: unknown): string {
  switch (typeof value) {
    case "string":
      if (/^[a-z][\w-]{0,40}$/i.test(value)) return value;
      return value.length > 40 ? `${JSON.stringify(value.slice(0, 40))}...` : JSON.stringify(value);
    case "object":
      if (value === null) return "null";
      return isList(value) ? "an array" : "an object";
    case "function":
      return "a function";
    case "bigint":
      return `${value}n`;
    default:
      return String(value);
  }
}

/** Is it an array? */
export function isList(value: unknown): value is readonly unknown[] {
  try {
    return Array.isArray(value);
  } catch {
    return false; // a proxy that was revoked
  }
}

/** Is it an object of a class? */
export function isOf<T>(value: unknown, type: Omit<Class<T>, "name">): value is T {
  try {
    return type[Symbol.hasInstance](value);
  } catch {
    return false; // a proxy that does not tell
  }
}

/** What `read` finds in a caller's object. Throws EINVAL where that cannot be read; `what` is what the call takes. */
export function reading<T>(what: string, read: () => T): T {
  try {
    return read();
  } catch (cause) {
    throw unreadable(what, cause);
  }
}

/** What is thrown where a caller's object threw `cause` as it was read: for what is called so often that {@link reading} would show. */
export function unreadable(what: string, cause: unknown): unknown {
  if (isOf(cause, IrqBypassError)) return cause;
  return new IrqBypassError("EINVAL", `what was passed cannot be read, it throws: pass ${what}`, { cause });
}

/** A class, its constructor private or not. */
interface Class<T> {
  readonly name: string;
  readonly prototype: T;
  [Symbol.hasInstance](value: unknown): boolean;
}

/**
 * Throws EINVAL with `sentence` for what is no object of a class. Two copies of this library in a process have each a class of
 * that name, and neither works on the other's objects: that is said instead.
 */
export function checkClass<T>(value: unknown, type: Class<T>, sentence: () => string): asserts value is T {
  if (isOf(value, type)) return;
  const other = nameInAnotherCopy(value, type.name);
  const text = other
    ? `this ${other} is of another copy of irqbypass, which this process has loaded twice: npm ls irqbypass shows from where`
    : sentence();
  throw new IrqBypassError("EINVAL", text);
}

/** The class of an object that has one of this name behind it, or is one; undefined for any other. */
function nameInAnotherCopy(value: unknown, name: string): string | undefined {
  const classOf = (one: object) =>
    (one as { readonly constructor?: { readonly name?: string } }).constructor?.name;
  try {
    for (let one = value; typeof one === "object" && one !== null; one = Object.getPrototypeOf(one))
      if (classOf(one) === name) return classOf(value as object);
  } catch {
    // It does not tell.
  }
  return undefined;
}

/** Refuses what is no object with named parts: `what` is what the call takes. */
export function checkObject(value: unknown, what: string): void {
  if (typeof value === "object" && value !== null) return;
  throw new IrqBypassError("EINVAL", `${show(value)} was passed: pass ${what}`);
}

/** The names of all options of a call: a name that is not among them is refused. */
export type OptionNames<Options> = Readonly<Record<keyof Options, true>>;

/**
 * Refuses what is no object with named parts, and a part that this call does not know, naming the nearest one that it does: an option
 * that is passed over in silence is one that the caller believes in. `what` is what the call takes, `where` stands before the name.
 */
export function checkNames(
  value: object,
  names: Readonly<Record<string, unknown>>,
  what: string,
  where = "",
): void {
  checkObject(value, what);
  if (isList(value)) throw new IrqBypassError("EINVAL", `an array was passed: pass ${what}`);
  let given: string[];
  try {
    given = Object.keys(value);
  } catch (cause) {
    throw unreadable(what, cause);
  }
  for (const name of given)
    if (!Object.hasOwn(names, name)) throw unknownName(name, Object.keys(names), where);
}

/** The parts of an object with named parts, of those names that it has. Refuses what {@link checkNames} does. */
export function readOptions<Options extends object>(
  value: Options,
  names: Readonly<Record<string, unknown>>,
  what: string,
  where = "",
): Options {
  checkNames(value, names, what, where);
  return reading(what, () => {
    const parts: Partial<Record<string, unknown>> = {};
    for (const name of Object.keys(names))
      if (name in value) parts[name] = (value as Readonly<Record<string, unknown>>)[name];
    return parts as Options;
  });
}

function unknownName(name: string, known: readonly string[], where: string): IrqBypassError {
  return new IrqBypassError(
    "EINVAL",
    `${where}${show(name)} is not known: did you mean ${where.replace(/^a .*: /, "")}${nearest(name, known)}? There ` +
      `${known.length === 1 ? "is" : "are"} ${known.join(", ")}`,
  );
}

/**
 * The same check for what a caller implements rather than fills in, which stays as it is: an instance of a class may keep what it
 * likes beside what is asked for, and is looked at no further.
 */
export function checkParts(
  value: unknown,
  names: Readonly<Record<string, unknown>>,
  what: string,
  where: string,
): void {
  checkObject(value, what);
  const prototype: unknown = reading(what, () => Object.getPrototypeOf(value));
  if (prototype === Object.prototype || prototype === null) readOptions(value as object, names, what, where);
}

/** Refuses what is neither true, nor false, nor left out, where that is `needed` not either. */
export function checkFlag(value: unknown, name: string, needed?: "needed"): void {
  if (typeof value === "boolean" || (value === undefined && !needed)) return;
  throw new IrqBypassError("EINVAL", `${name} is ${show(value)}: it is true or false`);
}

/** The part of an `AbortSignal` that a wait uses: structural, so that users need neither the types of the DOM nor Node's. */
export interface AbortSignalLike {
  /** Was it aborted? */
  readonly aborted: boolean;
  /** What the wait rejects with. */
  readonly reason: unknown;
  /** Throws the reason where it was aborted. */
  throwIfAborted(): void;
  /** Hears of the abort. */
  addEventListener(
    type: "abort",
    listener: () => void,
    options?: {
      /** Once at most. */
      readonly once?: boolean;
    },
  ): void;
  /** The mirror image. */
  removeEventListener(type: "abort", listener: () => void): void;
}

/** How long to wait, and by which signal not to. */
export interface WaitOptions {
  /** Default: as long as it takes. 0 or less does not wait at all. */
  readonly timeoutMs?: number;
  /** Of an `AbortController`: ends the wait with its reason. */
  readonly signal?: AbortSignalLike;
}

const WAIT: OptionNames<WaitOptions> = { timeoutMs: true, signal: true };
const WAIT_TEXT = "options such as { timeoutMs: 100 }, or none";

function isSignal(value: unknown): boolean {
  return isOf(value, AbortSignal) && reading(WAIT_TEXT, () => typeof value.aborted) === "boolean";
}

/**
 * The options of an asynchronous wait, of which `timeoutMs` is Infinity for none. `names` are all that it has, where those are more.
 * Read by hand: a wait that finds something at once is otherwise half of it the reading of its options.
 */
export function readWait(
  options: WaitOptions,
  names: Readonly<Record<string, true>> = WAIT,
): { readonly timeoutMs: number; readonly signal: AbortSignalLike | undefined } {
  checkNames(options, names, WAIT_TEXT);
  let timeoutMs: number | undefined;
  let signal: AbortSignalLike | undefined;
  try {
    ({ timeoutMs = Infinity, signal } = options);
  } catch (cause) {
    throw unreadable(WAIT_TEXT, cause);
  }
  checkTimeout(timeoutMs);
  if (signal !== undefined && !isSignal(signal)) {
    throw new IrqBypassError("EINVAL", `signal is ${show(signal)}: pass that of an AbortController`);
  }
  signal?.throwIfAborted(); // before anything is taken that a wait ends with
  return { timeoutMs, signal };
}

/** The same of a wait that blocks, which no signal can end; `instead` is its asynchronous form. */
export function readBlockingWait(
  options: Pick<WaitOptions, "timeoutMs"> | undefined,
  instead: string,
  names: Readonly<Record<string, true>> = WAIT,
): number {
  if (options === undefined) return Infinity;
  checkNames(options, names, WAIT_TEXT);
  let timeoutMs: number | undefined;
  let hasSignal: boolean;
  try {
    ({ timeoutMs = Infinity } = options);
    hasSignal = "signal" in options;
  } catch (cause) {
    throw unreadable(WAIT_TEXT, cause);
  }
  checkTimeout(timeoutMs);
  if (!hasSignal) return timeoutMs;
  throw new IrqBypassError("EINVAL", `a wait that blocks has no signal that ends it: use ${instead}`);
}

function checkTimeout(timeoutMs: unknown): void {
  if (typeof timeoutMs === "number" && !Number.isNaN(timeoutMs)) return;
  throw new IrqBypassError("EINVAL", `timeoutMs is ${show(timeoutMs)}: give a number of milliseconds`);
}

/** Refuses a number that does not fit a signed or unsigned word of 32 bits. */
export function checkWord(value: unknown, name: string): void {
  if (Number.isInteger(value) && (value as number) >= -(2 ** 31) && (value as number) < 2 ** 32) return;
  throw new IrqBypassError("EINVAL", `${name} is ${show(value)}: it must be a whole number of 32 bits`);
}
