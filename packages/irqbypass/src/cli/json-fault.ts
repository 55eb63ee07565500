/**
 * Where a JSON text goes wrong, by line and column.
 *
 * `JSON.parse` names a position only in some of its messages and in different words per engine, so a text that
 * it refused is walked once more, by the grammar of RFC 8259.
 */

export interface JsonFault {
  /** Counted from 1. */
  readonly line: number;
  /** Counted from 1, in UTF-16 units. */
  readonly column: number;
  /** What stands there: `"}"`, `"nam…"`, `the end of the text`. */
  readonly found: string;
  /** What may stand there. */
  readonly expected: string;
}

/** A string without its closing quote. */
const OPEN_STRING = String.raw`"(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*`;
/** The walk is recursive; no workload is near this deep. */
const MAX_DEPTH = 500;

/** The first fault of a text that `JSON.parse` refused; `undefined` where the text is well-formed. */
export function findJsonFault(text: string): JsonFault | undefined {
  let at = 0;
  let depth = 0;

  class Fault {
    readonly expected: string;
    constructor(expected: string) {
      this.expected = expected;
    }
  }
  const blank = /[ \t\n\r]*/y;
  const string = new RegExp(`${OPEN_STRING}"`, "y");
  const openString = new RegExp(OPEN_STRING, "y");
  const scalar = /true|false|null|-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/y;

  function take(pattern: RegExp): boolean {
    pattern.lastIndex = at;
    const match = pattern.exec(text);
    if (match === null) return false;
    at += match[0].length;
    return true;
  }
  /** The character after any blanks; empty at the end. */
  function peek(): string {
    take(blank);
    return text.charAt(at);
  }
  function aString(expected: string): void {
    if (peek() !== '"') throw new Fault(expected);
    if (take(string)) return;
    take(openString);
    throw new Fault(text.charAt(at) === "\\" ? "a valid escape, such as \\n" : 'the end of the string, "');
  }
  function list(close: string, item: () => void, what: string): void {
    at += 1;
    if (peek() === close) {
      at += 1;
      return;
    }
    for (;;) {
      item();
      const next = peek();
      if (next !== close && next !== ",") throw new Fault(`"," or "${close}" after ${what}`);
      at += 1;
      if (next === close) return;
      if (peek() === close) throw new Fault(`another ${what} after ",", or no ","`);
    }
  }
  function value(): void {
    if (depth === MAX_DEPTH) throw new Fault(`at most ${MAX_DEPTH} levels of nesting`);
    depth += 1;
    const first = peek();
    if (first === "{") {
      list("}", field, "field");
    } else if (first === "[") {
      list("]", value, "element");
    } else if (first === '"') {
      aString("a string");
    } else if (!take(scalar)) {
      throw new Fault("a value: an object, a list, a string, a number, true, false or null");
    }
    depth -= 1;
  }
  function field(): void {
    aString('a field name in double quotes, or "}"');
    if (peek() !== ":") throw new Fault('":" after the field name');
    at += 1;
    value();
  }

  try {
    value();
    if (peek() !== "") throw new Fault("nothing more after the value");
    return undefined;
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    const before = text.slice(0, at);
    const line = before.split("\n").length;
    const column = at - before.lastIndexOf("\n");
    return { line, column, found: foundAt(text, at), expected: error.expected };
  }
}

function foundAt(text: string, at: number): string {
  if (at >= text.length) return "the end of the text";
  const first = text.charAt(at);
  if (first === "\n" || first === "\r") return "the end of the line";
  const word = /^[A-Za-z0-9_'+.-]{1,20}/.exec(text.slice(at, at + 20));
  return JSON.stringify(word === null ? first : word[0]);
}
