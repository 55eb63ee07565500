/**
 * The files below one directory, and nothing outside of it. A tree may be a running host or come from a stranger, who
 * may change it while it is read: every step down opens one name under the directory before it, so no link that is
 * there, or put there meanwhile, leads out. Only regular files are opened, and no more is read than {@link LIMITS} say.
 */
import {
  closeSync,
  constants,
  existsSync,
  fstatSync,
  lstatSync,
  opendirSync,
  openSync,
  readlinkSync,
  readSync,
  type Stats,
} from "node:fs";
import { join } from "node:path";
import { DoctorError, FormatError } from "./error.js";
import type { Files } from "./source.js";

/** What any host stays below. What is larger is no file of a host, or was made to wear the reader out. */
export const LIMITS = {
  /** /proc/interrupts of 512 CPUs and 20,000 vectors is 110 MB. */
  fileBytes: 256 * 1024 * 1024,
  /** Names in one directory; a process may have that many descriptors. */
  names: 131_072,
  /** Links that one path may take, as in the kernel. */
  links: 40,
  /** Bytes of a link's target; PATH_MAX. */
  target: 4096,
} as const;

/** What all calls together stay below. */
export interface Bounds {
  readonly looks: number;
  readonly bytes: number;
}

/** Of a tree that is no running host: 20,000 vectors and their eventfds are 200,000 looks. */
export const SAVED: Bounds = { looks: 500_000, bytes: 1024 * 1024 * 1024 };

/**
 * What links in the tree are. "inside": the kernel's own, to be followed, an absolute one from the tree's root, as
 * within chroot. "data": never followed.
 */
export type Links = "inside" | "data";

const CHUNK = 64 * 1024;

/** O_PATH: a place in the file system, not its contents. The same number on every architecture that Node runs on. */
const O_PATH = 0o10000000;

/** A directory that was reached: a prefix for the names in it, and its own place below the root. */
interface Place {
  readonly at: string;
  readonly steps: readonly string[];
  readonly close: () => void;
}

/** All calls block shortly, and throw what the file system throws: `attempt` in source.ts makes readings of that. */
export class Tree implements Files {
  readonly #root: string;
  readonly #links: Links;
  readonly #bounds: Bounds | undefined;
  #looks = 0;
  #bytes = 0;
  readonly #chunk = Buffer.allocUnsafe(CHUNK);
  /** The directory of the last call: its neighbours are mostly asked for next. */
  #last: { readonly path: string; readonly place: Place } | undefined;

  /** Without `bounds` for a running host, which has what it has. */
  constructor(root: string, links: Links, bounds?: Bounds) {
    this.#root = root;
    this.#links = links;
    this.#bounds = bounds;
  }

  /** Gives back what the last call left open. The tree can still be used. Idempotent. */
  close(): void {
    this.#last?.place.close();
    this.#last = undefined;
  }

  /**
   * Names of the entries of a directory.
   * @throws with the code E2BIG if they are too many.
   */
  list(path: string): string[] {
    this.close();
    const directory = opendirSync(this.#place(path).at, { bufferSize: 512 });
    try {
      const names: string[] = [];
      for (let entry = directory.readSync(); entry !== null; entry = directory.readSync()) {
        if (names.length === LIMITS.names) throw coded("E2BIG", path);
        names.push(entry.name);
      }
      return names;
    } finally {
      directory.closeSync();
    }
  }

  /**
   * The text of a regular file.
   * @throws FormatError if it is a pipe, a device or the like, which is not opened; with the code EFBIG if it is too large.
   */
  read(path: string, links = 0): string {
    const found = this.#at(path, (at, steps) => {
      const stat = lstatSync(at);
      if (stat.isSymbolicLink() && this.#links === "inside") return inside(steps, readlinkSync(at));
      refuseOthers(stat, path);
      return this.#contents(at, path);
    });
    if (typeof found === "string") return found;
    if (links === LIMITS.links) throw coded("ELOOP", path);
    return this.read(found.join("/"), links + 1);
  }

  /**
   * The target of a link, as it stands; EINVAL if it is none. Copies that were made by what keeps no links (zip, git on
   * some systems) have a file with the target in its place.
   */
  link(path: string): string {
    return this.#at(path, (at) => {
      const stat = lstatSync(at);
      const inItsPlace = this.#bounds !== undefined && stat.isFile() && stat.size > 0;
      if (!inItsPlace || stat.size > LIMITS.target) return readlinkSync(at);
      return this.#contents(at, path).replace(/\n$/, "");
    });
  }

  /**
   * The name of a directory in which this process may write by name: it is reached by no link out of the tree, and
   * nobody else may change what is in it or above it, up to the root.
   * @throws DoctorError EPERM otherwise.
   */
  writable(path: string): string {
    this.close();
    const { steps } = this.#place(path);
    const us = process.geteuid?.() ?? 0;
    let name = this.#root;
    for (const step of ["", ...steps]) {
      name = join(name, step);
      const { mode, uid } = lstatSync(`${name}/.`);
      if ((uid !== 0 && uid !== us) || (mode & 0o002) !== 0)
        throw new DoctorError("EPERM", `${name} may be changed by other users: nothing is written below it`);
    }
    return name;
  }

  #contents(at: string, path: string): string {
    // Between the look and the open another may have taken its place: no link is followed, no pipe waited for.
    const fd = openSync(at, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    try {
      const stat = fstatSync(fd);
      refuseOthers(stat, path);
      if (stat.size > LIMITS.fileBytes) throw coded("EFBIG", path);
      const parts: Buffer[] = [];
      let total = 0;
      // To the end: the files of a kernel have no size that could be asked for.
      for (;;) {
        const count = readSync(fd, this.#chunk);
        if (count === 0) break;
        total += count;
        if (total > LIMITS.fileBytes) throw coded("EFBIG", path);
        parts.push(Buffer.from(this.#chunk.subarray(0, count)));
      }
      this.#bytes += total;
      this.#refuseMore("EFBIG", "bytes", this.#bytes);
      return Buffer.concat(parts, total).toString("utf8");
    } finally {
      closeSync(fd);
    }
  }

  /** Runs `use` on the name of an entry and the steps to its directory. */
  #at<T>(path: string, use: (at: string, steps: readonly string[]) => T): T {
    const slash = path.lastIndexOf("/");
    const name = path.slice(slash + 1);
    const directory = path.slice(0, Math.max(slash, 0));
    if (name === "" || name === "." || name === ".." || path.includes("\0")) throw coded("ENOENT", path);
    const held = this.#last?.path === directory;
    const once = () => {
      const { at, steps } = this.#place(directory);
      return use(`${at}/${name}`, steps);
    };
    try {
      return once();
    } catch (error) {
      // The directory may be gone, and another be there by its name.
      if (!held || !hasCode(error, "ENOENT", "ESRCH")) throw error;
      this.close();
      return once();
    }
  }

  #place(path: string): Place {
    this.#looks += 1;
    this.#refuseMore("E2BIG", "looks", this.#looks);
    if (this.#last?.path === path) return this.#last.place;
    this.close();
    const place = this.#walk(path);
    this.#last = { path, place };
    return place;
  }

  /** Goes down from the root, one name at a time. */
  #walk(path: string): Place {
    let steps = inside([], path);
    // A caller's path is made of names; one that leads up is no name.
    if (path.split("/").includes("..")) throw coded("ENOENT", path);
    for (let links = 0; ; links += 1) {
      if (links > LIMITS.links) throw coded("ELOOP", path);
      const walked = this.#descend(steps);
      if ("at" in walked) return walked;
      steps = walked.instead;
    }
  }

  /** The place that `steps` lead to; or, where one of them is a link, the steps to take instead. */
  #descend(steps: readonly string[]): Place | { readonly instead: string[] } {
    let here = openPlace(this.#root, [], true);
    for (const [i, step] of steps.entries()) {
      const at = `${here.at}/${step}`;
      const before = steps.slice(0, i);
      try {
        const next = openPlace(at, [...before, step], false);
        here.close();
        here = next;
      } catch (error) {
        const mayBeLink = this.#links === "inside" && hasCode(error, "ENOTDIR", "ELOOP");
        const target = mayBeLink ? linkAt(at) : undefined;
        here.close();
        if (target === undefined) throw error;
        return { instead: [...inside(before, target), ...steps.slice(i + 1)] };
      }
    }
    return here;
  }

  #refuseMore(code: "E2BIG" | "EFBIG", what: keyof Bounds, count: number): void {
    const most = this.#bounds?.[what] ?? Number.POSITIVE_INFINITY;
    if (count <= most) return;
    const figure = most.toLocaleString("en-US");
    throw new DoctorError(
      code,
      `${this.#root} takes more than ${figure} ${what} to read: no host's files do`,
    );
  }
}

/** On Linux a directory is held by its descriptor, elsewhere by its name. */
const byDescriptor = process.platform === "linux" && existsSync("/proc/self/fd");

function openPlace(at: string, steps: readonly string[], follow: boolean): Place {
  if (!byDescriptor) {
    if (!follow && !lstatSync(at).isDirectory()) throw coded("ENOTDIR", at);
    return { at, steps, close: () => {} };
  }
  const fd = openSync(at, O_PATH | constants.O_DIRECTORY | (follow ? 0 : constants.O_NOFOLLOW));
  let open = true;
  return {
    at: `/proc/self/fd/${fd}`,
    steps,
    close() {
      if (open) closeSync(fd);
      open = false;
    },
  };
}

function linkAt(path: string): string | undefined {
  try {
    return readlinkSync(path);
  } catch {
    return undefined;
  }
}

function hasCode(error: unknown, ...codes: readonly string[]): boolean {
  return error instanceof Error && "code" in error && codes.includes(String(error.code));
}

/** The steps from the root that `target` means in the directory `base`; nothing leads above the root. */
function inside(base: readonly string[], target: string): string[] {
  const steps = target.startsWith("/") ? [] : [...base];
  for (const step of target.split("/")) {
    if (step === "..") steps.pop();
    else if (step !== "" && step !== ".") steps.push(step);
  }
  return steps;
}

/** Passes regular files. A directory is none, and no finding; of anything else it is told what it is. */
function refuseOthers(stat: Stats, path: string): void {
  if (stat.isFile()) return;
  if (stat.isDirectory()) throw coded("ENOENT", path);
  const what = stat.isSymbolicLink()
    ? "a link, which is not followed"
    : stat.isFIFO()
      ? "a pipe"
      : stat.isSocket()
        ? "a socket"
        : "a device";
  throw new FormatError(`is ${what} and not a file`);
}

function coded(code: string, path: string): Error {
  return Object.assign(new Error(`${code}: ${path}`), { code });
}
