/**
 * What a terminal would obey, or not show at all, made visible. Names of processes, devices and files are chosen by
 * others and may hold any byte. Every output goes through here: text, JSON, metrics and messages.
 */

/**
 * Control characters (C0, DEL, C1), invisible formatting (bidirectional marks and overrides, zero-width characters,
 * tags, fillers), the separators that break lines in some readers, and halves of a surrogate pair.
 */
const HIDDEN = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}\p{Default_Ignorable_Code_Point}]/gu;

/** A text as one line of visible characters: a newline is `\n`, ESC is `\x1b`, U+202E is `\u202e`. */
export function visible(text: string): string {
  return text.replace(HIDDEN, escaped);
}

/** The same for a text whose newlines are ours: they stay. */
export function visibleLines(text: string): string {
  return text.replace(HIDDEN, (character) => (character === "\n" ? character : escaped(character)));
}

/**
 * A value as JSON in which every such character is escaped, in keys and in values: JSON.stringify leaves DEL, C1 and
 * the invisible ones. Whoever parses it gets the very characters back. Indented by `indent` blanks, or on one line.
 */
export function visibleJson(value: unknown, indent?: number): string {
  return JSON.stringify(value, undefined, indent).replace(HIDDEN, (character) =>
    character === "\n"
      ? character
      : Array.from({ length: character.length }, (_, i) => unit(character.charCodeAt(i))).join(""),
  );
}

function escaped(character: string): string {
  if (character === "\n") return "\\n";
  if (character === "\t") return "\\t";
  const code = character.codePointAt(0)!;
  if (code < 0x80) return `\\x${code.toString(16).padStart(2, "0")}`;
  return code > 0xffff ? `\\u{${code.toString(16)}}` : unit(code);
}

function unit(code: number): string {
  return `\\u${code.toString(16).padStart(4, "0")}`;
}
