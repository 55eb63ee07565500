/**
 * Lines of text for a terminal: wrapped, painted, and free of others' control characters.
 */
import { visible, visibleLines } from "../source/visible.js";

/** How text is painted; the plain one paints nothing. */
export type Paint = "plain" | "bold" | "dim" | "good" | "bad" | "doubt" | "heading";

const CODES: Record<Exclude<Paint, "plain">, string> = {
  bold: "1",
  dim: "2",
  good: "32",
  bad: "1;31",
  doubt: "33",
  heading: "1;36",
};

/** Paints `text`, or leaves it where colour is off. */
export function painted(text: string, paint: Paint, colour: boolean): string {
  return !colour || paint === "plain" || text === "" ? text : `\u001b[${CODES[paint]}m${text}\u001b[0m`;
}

const PAINT = new RegExp(`(\u001b\\[(?:0|${Object.values(CODES).join("|")})m)`);

/** A whole text on its way to a terminal: of all control characters only newlines and our own paint are left. */
export function forTerminal(text: string): string {
  return text
    .split(PAINT)
    .map((part, i) => (i % 2 === 1 ? part : visibleLines(part)))
    .join("");
}

/**
 * Breaks `text` at blanks into lines of at most `width` characters; a word that is longer is broken behind a slash
 * or a comma, or where it must.
 */
export function wrap(text: string, width: number): string[] {
  const room = Math.max(width, 16);
  const lines: string[] = [];
  let line = "";
  for (let word of visible(text).split(" ")) {
    if (line !== "" && line.length + 1 + word.length > room) {
      lines.push(line);
      line = "";
    }
    while (word.length > room) {
      const head = word.slice(0, room);
      const at = Math.max(head.lastIndexOf("/"), head.lastIndexOf(","));
      const cut = at > room / 2 ? at + 1 : room;
      lines.push(word.slice(0, cut));
      word = word.slice(cut);
    }
    line = line === "" ? word : `${line} ${word}`;
  }
  if (line !== "" || lines.length === 0) lines.push(line);
  return lines;
}
