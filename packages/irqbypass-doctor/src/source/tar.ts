/**
 * The header of one entry of a tar archive: POSIX ustar, with the long names of GNU and pax.
 */

/** Size of a header, and what contents are padded to. */
export const BLOCK = 512;

export interface TarHeader {
  readonly kind: "file" | "directory" | "link" | "long name" | "long target" | "extended" | "nothing";
  readonly path: string;
  readonly target: string;
  readonly size: number;
  /** Where the contents begin, once that is known. */
  readonly at: number;
}

const KINDS: Readonly<Record<string, TarHeader["kind"]>> = {
  "\0": "file",
  "0": "file",
  "7": "file",
  "5": "directory",
  "2": "link",
  L: "long name",
  K: "long target",
  x: "extended",
  g: "nothing",
};
const REFUSED: Readonly<Record<string, string>> = {
  "1": "a hard link",
  "3": "a device",
  "4": "a device",
  "6": "a pipe",
  S: "a sparse file",
};

/** Reads a block that is not all zeros; throws what `refuse` makes of a problem. */
export function headerOf(block: Buffer, refuse: (problem: string) => Error): TarHeader {
  if (block[0] === 0x1f && block[1] === 0x8b) throw refuse("is compressed: unpack it with gunzip first");
  const sum = octal(block, 148, 8);
  let own = 8 * 32;
  for (const [i, byte] of block.entries()) if (i < 148 || i >= 156) own += byte;
  if (sum !== own) throw refuse("is no tar archive, or a damaged one");
  const type = String.fromCharCode(block[156]!);
  const ustar = block.toString("latin1", 257, 262) === "ustar";
  const prefix = ustar && block[262] === 0 ? text(block, 345, 155) : "";
  const path = `${prefix === "" ? "" : `${prefix}/`}${text(block, 0, 100)}`;
  const kind = KINDS[type];
  if (kind === undefined) {
    const what = REFUSED[type] ?? "an entry of an unknown kind";
    throw refuse(`holds ${what} (${path}): a capture is files, directories and links`);
  }
  const size = octal(block, 124, 12);
  if (size === undefined) throw refuse(`does not tell how large ${path} is, or it is larger than 8 GB`);
  const empty = kind === "directory" || kind === "link";
  return { kind, path, target: text(block, 157, 100), size: empty ? 0 : size, at: 0 };
}

function text(block: Buffer, at: number, length: number): string {
  const end = block.indexOf(0, at);
  return block.toString("utf8", at, end < 0 || end > at + length ? at + length : end);
}

/** A number in octal digits; undefined for anything else, as GNU's numbers of more than 8 GB. */
function octal(block: Buffer, at: number, length: number): number | undefined {
  const digits = block
    .toString("latin1", at, at + length)
    .replace(/[\0 ]+$/, "")
    .trim();
  return /^[0-7]{1,11}$/.test(digits) ? Number.parseInt(digits, 8) : undefined;
}
