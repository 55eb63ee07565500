/**
 * How the objects of the public API look where somebody prints them: their class and a line of plain data, and not the words
 * and pools behind them.
 */
import { IrqBypassError } from "./errors.js";

/** What Node's console.log and `util.inspect` ask of an object; named without a module of Node's. */
const INSPECT: unique symbol = Symbol.for("nodejs.util.inspect.custom");

type Inspect = (value: object, options: object) => string;

/** An object of the public API. */
export abstract class Shown {
  /**
   * What this is, as plain data: what JSON.stringify writes, and what console.log shows behind the name of the class. Of an
   * object that has ended, and in a callback, where nothing may be asked, it is the sentence that says so, as `refused`. Asks
   * what the getters ask, and blocks as long as they do.
   */
  toJSON(): object {
    try {
      return this.describe();
    } catch (error) {
      if (error instanceof IrqBypassError) return { refused: error.message };
      throw error;
    }
  }

  /** @internal The plain data; what it throws, it throws as an IrqBypassError. */
  protected abstract describe(): object;

  /** @internal */
  [INSPECT](_depth: number, options: object, inspect: Inspect): string {
    const data = inspect(this.toJSON(), { ...options, breakLength: Infinity, compact: true });
    return `${this.constructor.name} ${data}`;
  }
}
