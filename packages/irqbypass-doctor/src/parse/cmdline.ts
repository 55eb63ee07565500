/**
 * /proc/cmdline: the kernel's own words in their order. What they do is rules/command-line.ts.
 */

/** One word. Names are told apart as the kernel does it, with `-` and `_` alike: all are `_` here. */
export interface CommandWord {
  readonly name: string;
  /** What follows the first "="; null for a word without one. */
  readonly value: string | null;
  /** As it stands there. */
  readonly text: string;
}

/** In the order in which they stand; what follows `--` is for init and is left out. */
export type CommandLine = readonly CommandWord[];

/** Never fails: every text is a command line. Values may be quoted. */
export function parseCommandLine(text: string): CommandLine {
  const words = splitWords(text);
  const end = words.indexOf("--");
  return (end < 0 ? words : words.slice(0, end)).map((word) => {
    const equals = word.indexOf("=");
    const name = equals < 0 ? word : word.slice(0, equals);
    return {
      name: name.replaceAll("-", "_"),
      value: equals < 0 ? null : word.slice(equals + 1),
      text: word,
    };
  });
}

function splitWords(text: string): string[] {
  const words: string[] = [];
  let word = "";
  let quoted = false;
  for (const char of text) {
    if (char === '"') quoted = !quoted;
    else if (/\s/.test(char) && !quoted) {
      if (word !== "") words.push(word);
      word = "";
    } else word += char;
  }
  if (word !== "") words.push(word);
  return words;
}
