/**
 * A running host: this one, or one whose file systems are mounted under a root directory.
 */
import { lstatSync, statfsSync } from "node:fs";
import { join } from "node:path";
import { DoctorError } from "./error.js";
import {
  attempt,
  type Reading,
  type Sample,
  type Sampling,
  type Source,
  type WindowOptions,
} from "./source.js";
import { SAVED, Tree } from "./tree.js";

/** Magic number of procfs in statfs(2). */
const PROC = 0x9fa0;

/** Reads below `root`; "/" is this host. Blocks while the kernel makes each file's text. */
export class LiveSource implements Source {
  readonly name: string;
  /** What is written, is written through it too. */
  readonly tree: Tree;

  constructor(root = "/") {
    this.tree = new Tree(root, "inside", runs(root) ? undefined : SAVED);
    this.name = root === "/" ? "this host" : `the host mounted at ${root}`;
  }

  list(path: string): Reading<readonly string[]> {
    return attempt(path, () => this.tree.list(path));
  }

  read(path: string): Reading<string> {
    return attempt(path, () => this.tree.read(path));
  }

  link(path: string): Reading<string> {
    return attempt(path, () => this.tree.link(path));
  }
}

/** A host that runs has the kernel's own /proc; a copy of its files has not. */
function runs(root: string): boolean {
  const proc = join(root, "proc");
  try {
    return lstatSync(proc).isDirectory() && statfsSync(proc).type === PROC;
  } catch {
    return false;
  }
}

/** Two samples of a running host, `interval` seconds apart by the monotonic clock. */
export function liveSampling(source: Source, interval: number): Sampling {
  const began = performance.now();
  return {
    first: source,
    second: async (options: WindowOptions = {}): Promise<Sample> => {
      await waitUntil(began + interval * 1000, options);
      return { source, seconds: (performance.now() - began) / 1000 };
    },
  };
}

const TICK_MS = 250;

/** Resolves at `end` (milliseconds of performance.now); tells the progress four times a second. */
function waitUntil(end: number, { signal, progress }: WindowOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    let timer: NodeJS.Timeout | undefined;
    const stop = () => {
      clearTimeout(timer);
      reject(new DoctorError("EINTR", "interrupted before the second sample was taken"));
    };
    const tick = () => {
      const left = end - performance.now();
      if (left <= 0) {
        signal?.removeEventListener("abort", stop);
        resolve();
        return;
      }
      progress?.(left / 1000);
      timer = setTimeout(tick, Math.min(left, TICK_MS));
    };
    if (signal?.aborted === true) {
      stop();
      return;
    }
    signal?.addEventListener("abort", stop, { once: true });
    tick();
  });
}
