/**
 * The one small reader of files: everything that the doctor knows of a host comes through a {@link Source}. Paths
 * are relative to the root of the host and have no leading slash: "proc/interrupts". All calls block, shortly.
 */
import { DoctorError, FormatError } from "./error.js";

/** What came of reading one path. What cannot be read is a value, because it is a finding of its own. */
export type Reading<T> =
  | { readonly state: "read"; readonly path: string; readonly value: T }
  /** There is no such file: ENOENT, ENOTDIR, or the file of an object that went away while it was read. */
  | { readonly state: "absent"; readonly path: string }
  /** There is one and we may not read it, or the read failed: `code` is EACCES, EPERM, EIO and the like. */
  | { readonly state: "unreadable"; readonly path: string; readonly code: string }
  /** It is not of a known format, or no regular file: shown raw (cut to {@link RAW_LIMIT} characters), never guessed at. */
  | { readonly state: "strange"; readonly path: string; readonly problem: string; readonly raw: string };

/** The most of a strange text that a reading keeps, in characters. */
export const RAW_LIMIT = 400;

/** Error codes that mean "not there", also for the files of an object that went away while it was read. */
const ABSENT = new Set(["ENOENT", "ENOTDIR", "ESRCH", "ENODEV"]);

/** Turns what a file system call throws into a reading; a refusal passes. */
export function attempt<T>(path: string, call: () => T): Reading<T> {
  try {
    return { state: "read", path, value: call() };
  } catch (error) {
    if (error instanceof FormatError) return { state: "strange", path, problem: error.message, raw: "" };
    const code = error instanceof Error && "code" in error ? String(error.code) : undefined;
    if (code === undefined || error instanceof DoctorError) throw error;
    return ABSENT.has(code) ? { state: "absent", path } : { state: "unreadable", path, code };
  }
}

/** Files of a host as they are kept somewhere. All calls block, shortly, and throw errors with an errno code. */
export interface Files {
  list(path: string): string[];
  read(path: string): string;
  link(path: string): string;
  /** Gives back what it holds open. Idempotent. */
  close(): void;
}

/** Read-only view of one host at one time: the running one, a mounted one, or one sample of a saved tree. */
export interface Source {
  /** What messages call it: "this host", "the host mounted at /host", "the capture case-1". */
  readonly name: string;
  /** Names of the entries of a directory, in no particular order. */
  list(path: string): Reading<readonly string[]>;
  /** The whole text of a file. */
  read(path: string): Reading<string>;
  /** The target of a symbolic link, as it stands. */
  link(path: string): Reading<string>;
}

/** Two samples of one host and the time between them. */
export interface Sampling {
  readonly first: Source;
  /**
   * Waits until the window is over and gives the second sample. A saved tree does not wait: it gives its second
   * sample and the seconds that it was taken after the first.
   * @throws DoctorError EINTR when `signal` aborts.
   */
  second(options?: WindowOptions): Promise<Sample>;
}

/** The part of an `AbortSignal` that is used here: structural, so that users need neither the types of the DOM nor Node's. */
export interface AbortSignalLike {
  /** Was it aborted? */
  readonly aborted: boolean;
  /** Hears of the abort. */
  addEventListener(
    type: "abort",
    listener: () => void,
    options?: {
      /** Once at most. */
      readonly once?: boolean;
    },
  ): void;
  /** The mirror image. */
  removeEventListener(type: "abort", listener: () => void): void;
}

export interface WindowOptions {
  readonly signal?: AbortSignalLike;
  /** Called some times a second with the seconds that are left. */
  readonly progress?: (secondsLeft: number) => void;
}

/** The second sample, and the measured seconds between the two. */
export interface Sample {
  readonly source: Source;
  readonly seconds: number;
}

/** Reads `path` and parses it; a FormatError of the parser makes the reading strange. */
export function readAs<T>(source: Source, path: string, parse: (text: string) => T): Reading<T> {
  return parsed(source.read(path), parse);
}

/** Parses what was read; other states pass through. */
export function parsed<T>(reading: Reading<string>, parse: (text: string) => T): Reading<T> {
  if (reading.state !== "read") return reading;
  try {
    return { state: "read", path: reading.path, value: parse(reading.value) };
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    return {
      state: "strange",
      path: reading.path,
      problem: error.message,
      raw: reading.value.slice(0, RAW_LIMIT),
    };
  }
}

/** The value, or undefined where there is none to be had. */
export function known<T>(reading: Reading<T>): T | undefined {
  return reading.state === "read" ? reading.value : undefined;
}
