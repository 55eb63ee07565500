/**
 * A saved tree: what `--capture` and the collector script write and `--from` reads, as a directory or as a tar archive.
 *
 *     about         "key: value" lines: format, at (ISO 8601), seconds, masked (yes or no)
 *     unreadable    "CODE SAMPLE/PATH" lines: files that were there and could not be read
 *     links         "SAMPLE/PATH TARGET" lines: see names.ts. Format 1 had symbolic links in their places
 *     trace.json    what --trace showed, if it was used
 *     1/, 2/        the files of the two samples at their own paths
 *
 * A tree may come from a stranger: see tree.ts and archive.ts for what is refused. Links in it are never followed.
 */
import { statSync } from "node:fs";
import { basename } from "node:path";
import { Archive } from "./archive.js";
import { DoctorError, FormatError } from "./error.js";
import { decodeName, parseLinks } from "./names.js";
import { parseTraceFacts } from "./saved-trace.js";
import { attempt, type Files, type Reading, type Sampling, type Source } from "./source.js";
import type { TraceFacts } from "./trace-facts.js";
import { SAVED, Tree } from "./tree.js";

/** Version of the layout above. */
export const TREE_FORMAT = "irqbypass-capture/2";
const OLD_FORMAT = "irqbypass-capture/1";

/** What `about` says. */
export interface About {
  /** When the second sample was taken, ISO 8601. */
  readonly at: string;
  /** Seconds between the samples. */
  readonly seconds: number;
  readonly masked: boolean;
  /** Links stand in the file `links`, and not in their places. */
  readonly linksAside: boolean;
}

/** A saved tree, opened. */
export interface SavedTree {
  readonly about: About;
  readonly sampling: Sampling;
  readonly trace: TraceFacts | undefined;
  /** Gives back what it holds open. Idempotent. */
  close(): void;
}

/**
 * Opens a saved tree. Blocks shortly.
 * @throws DoctorError ENOENT or EINVAL for what is none; E2BIG or EFBIG for more than a host has.
 */
export function openSaved(path: string): SavedTree {
  const files = openFiles(path);
  try {
    const about = parseAbout(needed(files, "about", path), path);
    const links = about.linksAside ? parsedFile(files, "links", path, parseLinks) : undefined;
    const failures = attempt("unreadable", () => files.read("unreadable"));
    const unreadable =
      failures.state === "read" ? parseUnreadable(failures.value) : new Map<string, string>();
    const sample = (number: "1" | "2") => new SavedSource(files, basename(path), number, unreadable, links);
    const first = sample("1");
    if (first.list("").state !== "read") {
      throw new DoctorError(
        "EINVAL",
        `${path} has no directory "1" with the first sample: take the capture again`,
      );
    }
    const second = { source: sample("2"), seconds: about.seconds };
    return {
      about,
      trace: parsedFile(files, "trace.json", path, parseTraceFacts),
      sampling: { first, second: () => Promise.resolve(second) },
      close: () => files.close(),
    };
  } catch (error) {
    files.close();
    throw error;
  }
}

function openFiles(path: string): Files {
  const stat = attempt(path, () => statSync(path));
  if (stat.state === "read") {
    if (stat.value.isDirectory()) return new Tree(path, "data", SAVED);
    if (stat.value.isFile()) return new Archive(path);
  }
  const why = stat.state === "unreadable" ? ` (${stat.code})` : "";
  throw new DoctorError(
    "ENOENT",
    `${path} is no capture${why}, so it has no file "about": give a directory or archive that --capture or the ` +
      "collector made",
  );
}

/** A file that every capture has. */
function needed(files: Files, name: string, path: string): string {
  const text = attempt(name, () => files.read(name));
  if (text.state === "read") return text.value;
  const why =
    text.state === "strange" ? `: it ${text.problem}` : text.state === "unreadable" ? ` (${text.code})` : "";
  throw new DoctorError(
    "ENOENT",
    `${path} has no file "${name}" that can be read${why}: give a directory or archive that --capture or the collector made`,
  );
}

/** A file that a capture may have. */
function parsedFile<T>(files: Files, name: string, path: string, parse: (text: string) => T): T | undefined {
  const text = attempt(name, () => files.read(name));
  if (text.state === "absent") return undefined;
  const refuse = (problem: string, cause?: unknown) =>
    new DoctorError("EINVAL", `${path}/${name}: ${problem}; take the capture again`, cause);
  if (text.state === "unreadable") throw refuse(`cannot be read (${text.code})`);
  if (text.state === "strange") throw refuse(text.problem);
  try {
    return parse(text.value);
  } catch (error) {
    throw error instanceof FormatError ? refuse(error.message, error) : error;
  }
}

/** Parses `about`; unknown keys are left for later formats. */
export function parseAbout(text: string, dir: string): About {
  const pairs = new Map<string, string>();
  for (const line of text.split("\n")) {
    const colon = line.indexOf(":");
    if (colon > 0) pairs.set(line.slice(0, colon).trim(), line.slice(colon + 1).trim());
  }
  const refuse = (what: string): never => {
    throw new DoctorError("EINVAL", `${dir}/about: ${what}`);
  };
  const format = pairs.get("format");
  if (format !== TREE_FORMAT && format !== OLD_FORMAT)
    refuse(`the format is ${format ?? "not named"}; this version reads ${OLD_FORMAT} and ${TREE_FORMAT}`);
  const at = pairs.get("at") ?? "";
  if (Number.isNaN(Date.parse(at))) refuse(`"at" must be a time such as 2026-01-31T12:00:00Z`);
  const seconds = Number(pairs.get("seconds"));
  if (!(seconds > 0 && seconds < 1e6))
    refuse(`"seconds" must be the time between the samples, more than 0 and less than a million`);
  return {
    at: new Date(at).toISOString(),
    seconds,
    masked: pairs.get("masked") !== "no",
    linksAside: format === TREE_FORMAT,
  };
}

function parseUnreadable(text: string): Map<string, string> {
  const codes = new Map<string, string>();
  for (const line of text.split("\n")) {
    const match = /^([A-Z][A-Z0-9]{1,15}) (.+)$/.exec(line);
    if (match !== null) codes.set(decoded(match[2]!), match[1]!);
  }
  return codes;
}

/** Format 1 had the path as it is. */
function decoded(path: string): string {
  try {
    return decodeName(path);
  } catch {
    return path;
  }
}

/** One sample of a saved tree. */
class SavedSource implements Source {
  readonly name: string;
  readonly #files: Files;
  readonly #sample: string;
  readonly #unreadable: ReadonlyMap<string, string>;
  readonly #links: ReadonlyMap<string, string> | undefined;
  /** Names in each directory that have no file in their places: links that stand aside, and what could not be read. */
  readonly #aside = new Map<string, string[]>();

  constructor(
    files: Files,
    name: string,
    sample: string,
    unreadable: ReadonlyMap<string, string>,
    links: ReadonlyMap<string, string> | undefined,
  ) {
    this.name = `the capture ${name}`;
    this.#files = files;
    this.#sample = sample;
    this.#unreadable = unreadable;
    this.#links = links;
    for (const path of [...(links?.keys() ?? []), ...unreadable.keys()]) {
      const slash = path.lastIndexOf("/");
      const directory = path.slice(0, Math.max(slash, 0));
      const names = this.#aside.get(directory);
      if (names === undefined) this.#aside.set(directory, [path.slice(slash + 1)]);
      else names.push(path.slice(slash + 1));
    }
  }

  list(path: string): Reading<readonly string[]> {
    const names = this.#open(path, (full) => this.#files.list(full));
    const aside = this.#aside.get(this.#full(path));
    if (aside === undefined || names.state === "unreadable") return names;
    const value = [...new Set([...(names.state === "read" ? names.value : []), ...aside])];
    return { state: "read", path, value };
  }

  read(path: string): Reading<string> {
    return this.#open(path, (full) => this.#files.read(full));
  }

  link(path: string): Reading<string> {
    return this.#open(path, (full) => {
      if (this.#links === undefined) return this.#files.link(full);
      const target = this.#links.get(full);
      if (target === undefined) throw Object.assign(new Error(path), { code: "ENOENT" });
      return target;
    });
  }

  #full(path: string): string {
    return path === "" ? this.#sample : `${this.#sample}/${path}`;
  }

  #open<T>(path: string, call: (full: string) => T): Reading<T> {
    const code = this.#unreadable.get(this.#full(path));
    return code === undefined
      ? attempt(path, () => call(this.#full(path)))
      : { state: "unreadable", path, code };
  }
}
