/**
 * The one error of the package, and a value as its sentences show it.
 */

/**
 * Thrown where what was passed cannot be explored: a name that nothing has, a file that is no scenario file, a schedule of
 * another scenario. The sentence says what to do. What the code under test does wrong is never thrown, but reported.
 */
export class ExplorerError extends Error {
  /** The errno code, as a word. */
  readonly code = "EINVAL";

  /**
   * The message is `EINVAL: message`.
   *
   * @example
   * ```ts
   * import { ExplorerError } from "atomics-explorer";
   *
   * const error = new ExplorerError("a schedule has no steps: give one at least");
   * console.log(error.code); // EINVAL
   * ```
   */
  constructor(
    message: string,
    options?: {
      /** What was thrown below. */
      readonly cause: unknown;
    },
  ) {
    super(`EINVAL: ${message}`, options);
    this.name = "ExplorerError";
  }
}

/** A value as a sentence shows it: short, and without running code of its own. */
export function show(value: unknown): string {
  if (typeof value === "string")
    return value.length > 40 ? `${JSON.stringify(value.slice(0, 40))}...` : JSON.stringify(value);
  if (Array.isArray(value)) return "an array";
  if (typeof value === "object" && value !== null) return "an object";
  return typeof value === "function" ? "a function" : String(value);
}
