/**
 * What a caller passed, looked at before anything is done with it: types are gone at run time, and JavaScript callers have
 * none. Every check throws EINVAL with a sentence.
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
      return Array.isArray(value) ? "an array" : "an object";
    case "function":
      return "a function";
    case "bigint":
      return `${value}n`;
    default:
      return String(value);
  }
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
  if (value instanceof type) return;
  const text = isOfAnotherCopy(value, type.name)
    ? `this ${value.constructor.name} is of another copy of irqbypass, which this process has loaded twice: npm ls irqbypass shows from where`
    : sentence();
  throw new IrqBypassError("EINVAL", text);
}

function isOfAnotherCopy(value: unknown, name: string): value is object {
  for (let one = value; typeof one === "object" && one !== null; one = Object.getPrototypeOf(one)) {
    const { constructor: made } = one as { readonly constructor?: unknown };
    if (typeof made === "function" && made.name === name) return true;
  }
  return false;
}

/** Refuses what is no object with named parts: `what` is what the call takes. */
export function checkObject(value: unknown, what: string): void {
  if (typeof value === "object" && value !== null) return;
  throw new IrqBypassError("EINVAL", `${show(value)} was passed: pass ${what}`);
}

/** The names of all options of a call: a name that is not among them is refused. */
export type OptionNames<Options> = Readonly<Record<keyof Options, true>>;

/**
 * Refuses what is no object with named parts, and a part that this call does not know, naming the nearest one that it does:
 * an option that is passed over in silence is one that the caller believes in. `what` is what the call takes, `where` stands
 * before the name.
 */
export function checkOptions(
  value: unknown,
  names: Readonly<Record<string, unknown>>,
  what: string,
  where = "",
): void {
  checkObject(value, what);
  if (Array.isArray(value)) throw new IrqBypassError("EINVAL", `an array was passed: pass ${what}`);
  for (const name of Object.keys(value as object)) {
    if (Object.hasOwn(names, name)) continue;
    const known = Object.keys(names);
    throw new IrqBypassError(
      "EINVAL",
      `${where}${show(name)} is not known: did you mean ${where}${nearest(name, known)}? There ` +
        `${known.length === 1 ? "is" : "are"} ${known.join(", ")}`,
    );
  }
}

/**
 * The same for what a caller implements rather than fills in: an instance of a class may keep what it likes beside what is
 * asked for, and is looked at no further.
 */
export function checkParts(
  value: unknown,
  names: Readonly<Record<string, unknown>>,
  what: string,
  where: string,
): void {
  checkObject(value, what);
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype === Object.prototype || prototype === null) checkOptions(value, names, what, where);
}

/** Refuses what is neither true, nor false, nor left out. */
export function checkFlag(value: unknown, name: string): void {
  if (value === undefined || typeof value === "boolean") return;
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

/** The time limit of an asynchronous wait, Infinity for none. `names` are those of its options, where it has others as well. */
export function timeoutOf(options: WaitOptions, names: Readonly<Record<string, true>> = WAIT): number {
  checkOptions(options, names, WAIT_TEXT);
  const { timeoutMs = Infinity, signal } = options;
  if (typeof timeoutMs !== "number" || Number.isNaN(timeoutMs)) {
    throw new IrqBypassError("EINVAL", `timeoutMs is ${show(timeoutMs)}: give a number of milliseconds`);
  }
  if (signal !== undefined && !(signal instanceof AbortSignal)) {
    throw new IrqBypassError("EINVAL", `signal is ${show(signal)}: pass that of an AbortController`);
  }
  return timeoutMs;
}

/** The same of a wait that blocks, which no signal can end; `instead` is its asynchronous form. */
export function blockingTimeoutOf(
  options: Pick<WaitOptions, "timeoutMs">,
  instead: string,
  names: Readonly<Record<string, true>> = WAIT,
): number {
  const timeoutMs = timeoutOf(options, names);
  if (!("signal" in options)) return timeoutMs;
  throw new IrqBypassError("EINVAL", `a wait that blocks has no signal that ends it: use ${instead}`);
}

/** Refuses a number that does not fit a signed or unsigned word of 32 bits. */
export function checkWord(value: unknown, name: string): void {
  if (Number.isInteger(value) && (value as number) >= -(2 ** 31) && (value as number) < 2 ** 32) return;
  throw new IrqBypassError("EINVAL", `${name} is ${show(value)}: it must be a whole number of 32 bits`);
}
