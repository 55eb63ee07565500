/**
 * A running host: this one, or one whose file systems are mounted under a root directory.
 */
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { join } from "node:path";
import { DoctorError } from "./error.js";
import type { Reading, Sample, Sampling, Source, WindowOptions } from "./source.js";

/** Error codes that mean "not there", also for the files of an object that went away while it was read. */
const ABSENT = new Set(["ENOENT", "ENOTDIR", "ESRCH", "ENODEV"]);

/** Reads below `root`; "/" is this host. Blocks while the kernel makes each file's text. */
export class LiveSource implements Source {
  readonly name: string;
  readonly #root: string;

  constructor(root = "/") {
    this.#root = root;
    this.name = root === "/" ? "this host" : `the host mounted at ${root}`;
  }

  list(path: string): Reading<readonly string[]> {
    return attempt(path, () => readdirSync(join(this.#root, path)));
  }

  read(path: string): Reading<string> {
    return attempt(path, () => readFileSync(join(this.#root, path), "utf8"));
  }

  link(path: string): Reading<string> {
    return attempt(path, () => readlinkSync(join(this.#root, path)));
  }
}

/** Turns what a file system call throws into a reading. */
export function attempt<T>(path: string, call: () => T): Reading<T> {
  try {
    return { state: "read", path, value: call() };
  } catch (error) {
    const code = error instanceof Error && "code" in error ? String(error.code) : undefined;
    if (code === undefined) throw error;
    return ABSENT.has(code) ? { state: "absent", path } : { state: "unreadable", path, code };
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
