/**
 * /proc/cmdline, and the words on it that bear on interrupt posting.
 */

/** The words of the kernel's command line: name to all its values, "" for a word without one. */
export type CommandLine = ReadonlyMap<string, readonly string[]>;

/** Never fails: every text is a command line. Values may be quoted. */
export function parseCommandLine(text: string): CommandLine {
  const words = new Map<string, string[]>();
  for (const word of splitWords(text)) {
    const equals = word.indexOf("=");
    const name = equals < 0 ? word : word.slice(0, equals);
    const values = words.get(name) ?? [];
    values.push(equals < 0 ? "" : word.slice(equals + 1));
    words.set(name, values);
  }
  return words;
}

/** All comma-separated settings of one word, from every time it stands there. */
export function settings(line: CommandLine, name: string): readonly string[] {
  return (line.get(name) ?? []).flatMap((value) => value.split(","));
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
