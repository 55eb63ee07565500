/**
 * The capture: wraps a {@link Sampling}, keeps what passes through it, and writes it as a saved tree. It saves the
 * files that the doctor read and only those; processes that hold no VM are left out.
 */
import { parseDescriptor } from "./descriptor.js";
import { isLeftOut, KERNEL_THREAD, maskLink, maskText } from "./mask.js";
import { encodeName, printLinks } from "./names.js";
import type { NewTree } from "./new-tree.js";
import { TREE_FORMAT } from "./saved.js";
import type { Reading, Sample, Sampling, Source } from "./source.js";
import type { TraceFacts } from "./trace-facts.js";

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
   * Writes the tree and gives the number of files and links in it. Blocks. `about` comes last: a tree without it is
   * none. `masked` hides command lines, names and paths that could tell whose host it is; see mask.ts.
   * @throws DoctorError EIO, EACCES and the like where it cannot be written.
   */
  save(tree: NewTree, options: SaveOptions): number {
    const aside: Aside = { links: [], unreadable: [] };
    let count = this.first.save(tree, "1", options.masked, aside);
    count += this.#second?.save(tree, "2", options.masked, aside) ?? 0;
    tree.put("links", printLinks(aside.links));
    tree.put("unreadable", aside.unreadable.map((line) => `${line}\n`).join(""));
    if (options.trace !== undefined)
      tree.put("trace.json", `${JSON.stringify(options.trace, undefined, 2)}\n`);
    const about = [
      `format: ${TREE_FORMAT}`,
      `at: ${options.at}`,
      `seconds: ${this.#seconds.toFixed(3)}`,
      `masked: ${options.masked ? "yes" : "no"}`,
    ];
    tree.put("about", `${about.join("\n")}\n`);
    return count;
  }
}

/** What a capture has in files of their own. */
interface Aside {
  readonly links: [path: string, target: string][];
  readonly unreadable: string[];
}

/** It tells while the host is looked at that a process is still the same, and nothing later. */
const PASSING = /^proc\/\d+\/stat$/;

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

  save(tree: NewTree, sample: string, masked: boolean, aside: Aside): number {
    const vms = this.#vms();
    const wanted = (path: string) => {
      if (masked && isLeftOut(path)) return false;
      if (PASSING.test(path)) return false;
      const pid = /^proc\/(\d+)\//.exec(path)?.[1];
      return pid === undefined || vms.has(pid) || path === KERNEL_THREAD;
    };
    tree.directory(sample);
    let count = 0;
    for (const [path, text] of this.#files) {
      if (!wanted(path)) continue;
      tree.put(`${sample}/${path}`, masked ? maskText(path, text) : text);
      count += 1;
    }
    for (const [path, target] of this.#links) {
      if (!wanted(path)) continue;
      aside.links.push([`${sample}/${path}`, masked ? maskLink(path, target) : target]);
      count += 1;
    }
    // What was only seen in a listing is there again as an empty directory: it has a name and nothing to read.
    for (const [path, names] of this.#lists) {
      if (path === "proc" || !wanted(`${path}/`)) continue;
      tree.directory(`${sample}/${path}`);
      // That it shows modules is evidence; of the modules only KVM's are, which are listed themselves.
      if (path === "sys/module") continue;
      for (const name of names) {
        const entry = `${path}/${name}`;
        const saved = this.#files.has(entry) || this.#links.has(entry) || this.#failures.has(entry);
        if (!saved) tree.directory(`${sample}/${entry}`);
      }
    }
    for (const [path, code] of this.#failures) {
      if (PASSING.test(path) || (masked && isLeftOut(path))) continue;
      const pid = /^proc\/(\d+)\//.exec(path)?.[1];
      // A thread of the kernel hides nothing; a process that may hold a VM is there again by its number.
      if (pid !== undefined && this.#files.get(`proc/${pid}/cmdline`) === "") continue;
      if (pid !== undefined) tree.directory(`${sample}/proc/${pid}`);
      aside.unreadable.push(`${code} ${encodeName(`${sample}/${path}`)}`);
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
