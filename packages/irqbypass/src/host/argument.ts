/**
 * What a caller passed, looked at before anything is done with it: types are gone at run time, and JavaScript callers have
 * none. Every check throws EINVAL with a sentence.
 */
import { IrqBypassError } from "./errors.js";

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

/** Refuses what is no object with named parts: `what` is what the call takes. */
export function checkObject(value: unknown, what: string): void {
  if (typeof value === "object" && value !== null) return;
  throw new IrqBypassError("EINVAL", `${show(value)} was passed: pass ${what}`);
}

/** How long to wait, and by which signal not to. */
export interface WaitOptions {
  /** Default: as long as it takes. 0 or less does not wait at all. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

/** The time limit of a wait, Infinity for none. */
export function timeoutOf(options: WaitOptions): number {
  checkObject(options, "options such as { timeoutMs: 100 }, or none");
  const { timeoutMs = Infinity, signal } = options;
  if (typeof timeoutMs !== "number" || Number.isNaN(timeoutMs)) {
    throw new IrqBypassError("EINVAL", `timeoutMs is ${show(timeoutMs)}: give a number of milliseconds`);
  }
  if (signal !== undefined && !(signal instanceof AbortSignal)) {
    throw new IrqBypassError("EINVAL", `signal is ${show(signal)}: pass that of an AbortController`);
  }
  return timeoutMs;
}

/** Refuses a number that does not fit a signed or unsigned word of 32 bits. */
export function checkWord(value: unknown, name: string): void {
  if (Number.isInteger(value) && (value as number) >= -(2 ** 31) && (value as number) < 2 ** 32) return;
  throw new IrqBypassError("EINVAL", `${name} is ${show(value)}: it must be a whole number of 32 bits`);
}
