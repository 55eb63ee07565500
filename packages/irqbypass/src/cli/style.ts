/**
 * Colour, where it is wanted. Widths are those of the plain text.
 */
import type { Path } from "./result.js";

/** The environment variables that the output depends on. */
export interface Environment {
  readonly NO_COLOR?: string | undefined;
  readonly TERM?: string | undefined;
}

export type Style = "plain" | "dim" | "bold" | "bad" | "green" | "cyan" | "blue" | "yellow";

const SGR: Readonly<Record<Style, string>> = {
  plain: "",
  dim: "2",
  bold: "1",
  bad: "1;31",
  green: "32",
  cyan: "36",
  blue: "34",
  yellow: "33",
};

export const PATH_STYLE: Readonly<Record<Path, Style>> = {
  posted: "green",
  injected: "cyan",
  irqfd: "blue",
  relayed: "yellow",
};

/** One run of text in one style. A line is a list of these. */
export interface Span {
  readonly text: string;
  readonly style: Style;
}

export type Line = readonly Span[];

export function span(text: string, style: Style = "plain"): Span {
  return { text, style };
}

export function line(...parts: readonly (string | Span)[]): Line {
  return parts.map((part) => (typeof part === "string" ? span(part) : part));
}

export function width(text: Line): number {
  return text.reduce((sum, part) => sum + part.text.length, 0);
}

/** The line with at most `columns` characters; what is cut off ends in an ellipsis. */
export function cut(text: Line, columns: number): Line {
  if (width(text) <= columns) return text;
  const kept: Span[] = [];
  let room = Math.max(0, columns - 1);
  for (const part of text) {
    if (room === 0) break;
    const piece = part.text.slice(0, room);
    kept.push({ ...part, text: piece });
    room -= piece.length;
  }
  return columns > 0 ? [...kept, span("…", "dim")] : kept;
}

/**
 * The line on several lines where it is too long. Words of its last span go below that span's beginning, so that
 * columns stay columns, or where that would leave no room, a little to the right.
 */
export function wrap(text: Line, columns: number): Line[] {
  const last = text.at(-1);
  if (last === undefined || width(text) <= columns) return [text];
  const before = text.slice(0, -1);
  const inColumn = before[0]?.text.startsWith(" ") && width(before) <= columns / 2;
  const indent = inColumn ? width(before) : 4;
  const lines: Line[] = [];
  let start: Line = before;
  let words = "";
  // Blanks stay with the word after them, so that a line that is not broken keeps all of its own.
  for (const word of last.text.split(/(?<=\S)(?= )/)) {
    const longer = words + word;
    if (words !== "" && width(start) + longer.length > columns) {
      lines.push([...start, { ...last, text: words }]);
      start = [span(" ".repeat(indent))];
      words = word.trimStart();
    } else {
      words = longer;
    }
  }
  return [...lines, [...start, { ...last, text: words }]].map((one) => cut(one, columns));
}

/** The characters to write, without trailing blanks. */
export function paint(text: Line, colour: boolean): string {
  if (!colour)
    return text
      .map((part) => part.text)
      .join("")
      .trimEnd();
  return text
    .map(({ text, style }) => (style === "plain" ? text : `\x1b[${SGR[style]}m${text}\x1b[0m`))
    .join("");
}

/** Whether to colour: a terminal that can, and no NO_COLOR (https://no-color.org). */
export function wantsColour(terminal: boolean, env: Environment): boolean {
  return terminal && !env.NO_COLOR && env.TERM !== "dumb";
}
