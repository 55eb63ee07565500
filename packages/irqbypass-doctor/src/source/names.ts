/**
 * Names as data. A capture keeps the targets of links, which are chosen by others, in a file of lines and never as
 * links: nothing that unpacks, copies or searches it can be led anywhere.
 *
 *     SAMPLE/PATH TARGET          both with every byte outside of [A-Za-z0-9_./:,=+@()[]-] as %XX
 */
import { FormatError } from "./error.js";

const PLAIN = /^(?:[\w./:,=+@()[\]-]|%[0-9a-f]{2})*$/;

/** A name in which nothing but the plain characters is left. */
export function encodeName(name: string): string {
  return name.replace(/[^\w./:,=+@()[\]-]/gu, (character) =>
    [...Buffer.from(character)].map((byte) => `%${byte.toString(16).padStart(2, "0")}`).join(""),
  );
}

/** @throws FormatError for a text that {@link encodeName} does not make. */
export function decodeName(text: string): string {
  if (!PLAIN.test(text)) throw new FormatError("is not a name with its odd bytes as %XX");
  if (!text.includes("%")) return text;
  const bytes = text.replace(/%([0-9a-f]{2})/g, (_, hex: string) =>
    String.fromCharCode(Number.parseInt(hex, 16)),
  );
  return Buffer.from(bytes, "latin1").toString("utf8");
}

/** Targets of the links of a capture by "SAMPLE/PATH". @throws FormatError naming the line. */
export function parseLinks(text: string): Map<string, string> {
  const links = new Map<string, string>();
  for (const [index, line] of text.split("\n").entries()) {
    if (line === "") continue;
    const words = line.split(" ");
    try {
      if (words.length !== 2) throw new FormatError("is not a path and a target");
      links.set(decodeName(words[0]!), decodeName(words[1]!));
    } catch (error) {
      throw error instanceof FormatError ? new FormatError(`line ${index + 1} ${error.message}`) : error;
    }
  }
  return links;
}

/** What {@link parseLinks} reads. */
export function printLinks(links: Iterable<readonly [path: string, target: string]>): string {
  return [...links].map(([path, target]) => `${encodeName(path)} ${encodeName(target)}\n`).join("");
}
