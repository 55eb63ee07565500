/**
 * A saved tree: what `--capture` and the collector script write and `--from` reads.
 *
 *     DIR/about         "key: value" lines: format, at (ISO 8601), seconds, masked (yes or no)
 *     DIR/unreadable    "CODE SAMPLE/PATH" lines: files that were there and could not be read
 *     DIR/trace.json    what --trace showed, if it was used
 *     DIR/1/, DIR/2/    the files of the two samples at their own paths; links are symbolic links
 *
 * A tree may come from a stranger. So a link in it is never followed, only read, and what is no regular file is
 * refused: a pipe would block for ever, and a link could show a file of the reader's own machine as evidence.
 */
import { lstatSync, readdirSync, readFileSync, readlinkSync } from "node:fs";
import { basename, join } from "node:path";
import { DoctorError, FormatError } from "./error.js";
import { attempt } from "./live.js";
import { parseTraceFacts } from "./saved-trace.js";
import type { Reading, Sampling, Source } from "./source.js";
import type { TraceFacts } from "./trace-facts.js";

/** Version of the layout above. */
export const TREE_FORMAT = "irqbypass-capture/1";

/** A larger file is not of a host: /proc/interrupts of 512 CPUs and 20,000 vectors is 110 MB. */
const MAX_BYTES = 256 * 1024 * 1024;

/** What `about` says. */
export interface About {
  /** When the second sample was taken, ISO 8601. */
  readonly at: string;
  /** Seconds between the samples. */
  readonly seconds: number;
  readonly masked: boolean;
}

/** A saved tree, opened. */
export interface SavedTree {
  readonly about: About;
  readonly sampling: Sampling;
  readonly trace: TraceFacts | undefined;
}

/**
 * Opens a saved tree.
 * @throws DoctorError ENOENT or EINVAL for a directory that is not one.
 */
export function openSaved(dir: string): SavedTree {
  const text = attempt("about", () => readRegular(join(dir, "about")));
  if (text.state !== "read") {
    throw new DoctorError(
      "ENOENT",
      `${dir} has no file "about": give a directory that --capture or the collector made`,
    );
  }
  const about = parseAbout(text.value, dir);
  const failures = attempt("unreadable", () => readRegular(join(dir, "unreadable")));
  const unreadable = failures.state === "read" ? parseUnreadable(failures.value) : new Map<string, string>();
  const first = new SavedSource(dir, "1", unreadable);
  const second = new SavedSource(dir, "2", unreadable);
  if (first.list("").state !== "read") {
    throw new DoctorError(
      "EINVAL",
      `${dir} has no directory "1" with the first sample: take the capture again`,
    );
  }
  return {
    about,
    trace: openTrace(dir),
    sampling: { first, second: () => Promise.resolve({ source: second, seconds: about.seconds }) },
  };
}

function openTrace(dir: string): TraceFacts | undefined {
  const text = attempt("trace.json", () => readRegular(join(dir, "trace.json")));
  if (text.state !== "read") return undefined;
  try {
    return parseTraceFacts(text.value);
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    throw new DoctorError(
      "EINVAL",
      `${join(dir, "trace.json")}: ${error.message}; take the capture again`,
      error,
    );
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
    throw new DoctorError("EINVAL", `${join(dir, "about")}: ${what}`);
  };
  const format = pairs.get("format");
  if (format !== TREE_FORMAT)
    refuse(`the format is ${format ?? "not named"}; this version reads ${TREE_FORMAT}`);
  const at = pairs.get("at") ?? "";
  if (Number.isNaN(Date.parse(at))) refuse(`"at" must be a time such as 2026-01-31T12:00:00Z`);
  const seconds = Number(pairs.get("seconds"));
  if (!(seconds > 0)) refuse(`"seconds" must be the time between the samples, more than 0`);
  return { at: new Date(at).toISOString(), seconds, masked: pairs.get("masked") !== "no" };
}

function parseUnreadable(text: string): Map<string, string> {
  const codes = new Map<string, string>();
  for (const line of text.split("\n")) {
    const match = /^([A-Z][A-Z0-9]{1,15}) (.+)$/.exec(line);
    if (match !== null) codes.set(match[2]!, match[1]!);
  }
  return codes;
}

/** Reads a file that is no link and no pipe. */
function readRegular(path: string): string {
  const stat = lstatSync(path);
  if (!stat.isFile() || stat.size > MAX_BYTES) throw Object.assign(new Error(path), { code: "ENOENT" });
  return readFileSync(path, "utf8");
}

/** One sample of a saved tree. */
class SavedSource implements Source {
  readonly name: string;
  readonly #root: string;
  readonly #sample: string;
  readonly #unreadable: ReadonlyMap<string, string>;

  constructor(dir: string, sample: string, unreadable: ReadonlyMap<string, string>) {
    this.name = `the capture ${basename(dir)}`;
    this.#root = join(dir, sample);
    this.#sample = sample;
    this.#unreadable = unreadable;
  }

  list(path: string): Reading<readonly string[]> {
    return this.#open(path, (full) => readdirSync(full), "directory");
  }

  read(path: string): Reading<string> {
    return this.#open(path, (full) => readFileSync(full, "utf8"), "file");
  }

  link(path: string): Reading<string> {
    return this.#open(path, (full) => readlinkSync(full), "link");
  }

  #open<T>(path: string, call: (full: string) => T, kind: "file" | "directory" | "link"): Reading<T> {
    const code = this.#unreadable.get(`${this.#sample}/${path}`);
    if (code !== undefined) return { state: "unreadable", path, code };
    return attempt(path, () => {
      this.#refuseLinksAbove(path);
      const full = join(this.#root, path);
      const stat = lstatSync(full);
      const fits =
        kind === "directory" ? stat.isDirectory() : kind === "link" ? stat.isSymbolicLink() : stat.isFile();
      if (!fits || stat.size > MAX_BYTES) throw Object.assign(new Error(path), { code: "ENOENT" });
      return call(full);
    });
  }

  /** No directory on the way down may be a link, nor lead up. */
  #refuseLinksAbove(path: string): void {
    const steps = path.split("/");
    if (steps.includes("..")) throw Object.assign(new Error(path), { code: "ENOENT" });
    for (let count = 0; count < steps.length; count += 1) {
      const stat = lstatSync(join(this.#root, ...steps.slice(0, count)));
      if (!stat.isDirectory()) throw Object.assign(new Error(path), { code: "ENOENT" });
    }
  }
}
