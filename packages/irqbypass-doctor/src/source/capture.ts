/**
 * The capture: wraps a {@link Sampling}, keeps what passes through it, and writes it as a saved tree. It saves the
 * files that the doctor read and only those; processes that hold no VM are left out.
 */
import { mkdirSync, readdirSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { parseDescriptor } from "./descriptor.js";
import { DoctorError } from "./error.js";
import { isLeftOut, maskLink, maskText } from "./mask.js";
import { TREE_FORMAT } from "./saved.js";
import type { Reading, Sample, Sampling, Source } from "./source.js";
import type { TraceFacts } from "./trace-facts.js";

/** Makes the directory for a capture. Early, so that a wrong name is refused before the wait and not after it.
 * @throws DoctorError EEXIST if something lies in it already, EACCES if it cannot be made.
 */
export function makeCaptureDir(dir: string): void {
  let entries: readonly string[];
  try {
    mkdirSync(dir, { recursive: true });
    entries = readdirSync(dir);
  } catch (error) {
    throw new DoctorError("EACCES", `${dir} cannot be made: name a directory that you may write to`, error);
  }
  if (entries.length > 0) {
    throw new DoctorError("EEXIST", `${dir} holds something already: name a new directory for the capture`);
  }
}

export interface SaveOptions {
  readonly masked: boolean;
  /** When the second sample was taken, ISO 8601. */
  readonly at: string;
  readonly trace?: TraceFacts | undefined;
}

/** A sampling that records what is read through it. */
export class Capture implements Sampling {
  readonly first: Recorder;
  readonly #inner: Sampling;
  #second: Recorder | undefined;
  #seconds = 0;

  constructor(inner: Sampling) {
    this.#inner = inner;
    this.first = new Recorder(inner.first);
  }

  async second(options?: Parameters<Sampling["second"]>[0]): Promise<Sample> {
    const sample = await this.#inner.second(options);
    this.#second = new Recorder(sample.source);
    this.#seconds = sample.seconds;
    return { source: this.#second, seconds: sample.seconds };
  }

  /**
   * Writes the tree into an empty directory and gives the number of files and links in it. Blocks.
   * `masked` hides command lines, names and paths that could tell whose host it is; see mask.ts.
   */
  save(dir: string, options: SaveOptions): number {
    const unreadable: string[] = [];
    let count = this.first.save(dir, "1", options.masked, unreadable);
    count += this.#second?.save(dir, "2", options.masked, unreadable) ?? 0;
    const about = [
      `format: ${TREE_FORMAT}`,
      `at: ${options.at}`,
      `seconds: ${this.#seconds.toFixed(3)}`,
      `masked: ${options.masked ? "yes" : "no"}`,
    ];
    put(join(dir, "about"), `${about.join("\n")}\n`);
    if (options.trace !== undefined)
      put(join(dir, "trace.json"), `${JSON.stringify(options.trace, undefined, 2)}\n`);
    put(join(dir, "unreadable"), unreadable.map((line) => `${line}\n`).join(""));
    return count;
  }
}

const HELD = new Set(["vm", "vfio-device", "vfio-group", "vhost-vdpa"]);

/** A source that remembers what it gave. */
class Recorder implements Source {
  readonly name: string;
  readonly #inner: Source;
  readonly #files = new Map<string, string>();
  readonly #links = new Map<string, string>();
  readonly #lists = new Map<string, readonly string[]>();
  readonly #failures = new Map<string, string>();

  constructor(inner: Source) {
    this.name = inner.name;
    this.#inner = inner;
  }

  list(path: string): Reading<readonly string[]> {
    return this.#keep(this.#lists, this.#inner.list(path));
  }

  read(path: string): Reading<string> {
    return this.#keep(this.#files, this.#inner.read(path));
  }

  link(path: string): Reading<string> {
    return this.#keep(this.#links, this.#inner.link(path));
  }

  #keep<T>(into: Map<string, T>, reading: Reading<T>): Reading<T> {
    if (reading.state === "read") into.set(reading.path, reading.value);
    if (reading.state === "unreadable") this.#failures.set(reading.path, reading.code);
    return reading;
  }

  save(dir: string, sample: string, masked: boolean, unreadable: string[]): number {
    const vms = this.#vms();
    const wanted = (path: string) => {
      if (masked && isLeftOut(path)) return false;
      const pid = /^proc\/(\d+)\//.exec(path)?.[1];
      return pid === undefined || vms.has(pid);
    };
    const root = join(dir, sample);
    mkdirSync(root, { recursive: true });
    let count = 0;
    for (const [path, text] of this.#files) {
      if (!wanted(path)) continue;
      put(join(root, path), masked ? maskText(path, text) : text);
      count += 1;
    }
    for (const [path, target] of this.#links) {
      if (!wanted(path)) continue;
      const full = join(root, path);
      mkdirSync(dirname(full), { recursive: true });
      symlinkSync(masked ? maskLink(path, target) : target, full);
      count += 1;
    }
    // What was only seen in a listing is there again as an empty directory: it has a name and nothing to read.
    for (const [path, names] of this.#lists) {
      if (path === "proc" || !wanted(`${path}/`)) continue;
      mkdirSync(join(root, path), { recursive: true });
      for (const name of names) {
        const entry = `${path}/${name}`;
        const saved = this.#files.has(entry) || this.#links.has(entry) || this.#failures.has(entry);
        if (!saved) mkdirSync(join(root, entry), { recursive: true });
      }
    }
    for (const [path, code] of this.#failures) {
      if (masked && isLeftOut(path)) continue;
      const pid = /^proc\/(\d+)\//.exec(path)?.[1];
      // A thread of the kernel hides nothing; a process that may hold a VM is there again by its number.
      if (pid !== undefined && this.#files.get(`proc/${pid}/cmdline`) === "") continue;
      if (pid !== undefined) mkdirSync(join(root, "proc", pid), { recursive: true });
      unreadable.push(`${code} ${sample}/${path}`);
    }
    return count;
  }

  /** Ids of the processes that hold a VM or an assigned device: the others were only looked at to find these. */
  #vms(): Set<string> {
    const pids = new Set<string>();
    for (const [path, target] of this.#links) {
      const pid = /^proc\/(\d+)\/fd\//.exec(path)?.[1];
      if (pid !== undefined && HELD.has(parseDescriptor(target).kind)) pids.add(pid);
    }
    return pids;
  }
}

function put(path: string, text: string): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text, { flag: "wx" });
}
