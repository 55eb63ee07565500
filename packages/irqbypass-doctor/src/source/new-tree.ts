/**
 * A directory for a capture: new, this user's own and closed to everybody else, even where it stands in a directory
 * of another, who may change what is around it at any time. It is held by its descriptor, and what is made in it is
 * made, never taken over.
 */
import {
  closeSync,
  constants,
  existsSync,
  fstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  rmdirSync,
  writeSync,
} from "node:fs";
import { dirname, resolve } from "node:path";
import { DoctorError, type DoctorErrorCode } from "./error.js";

const OWNER_ONLY = 0o700;
const OWNER_READS = 0o600;

/** Made empty, then filled. */
export class NewTree {
  readonly #dir: string;
  readonly #fd: number;
  /** What names in it begin with. */
  readonly #at: string;
  readonly #made: boolean;
  #filled = false;
  #open = true;

  /**
   * Makes the directory, or takes one that is this user's own and empty. Early, so that a wrong name is refused before
   * the wait and not after it.
   * @throws DoctorError EEXIST if something is in it already; EPERM if it is a link, or another user's, or others may
   * write into it; EACCES and the like if it cannot be made.
   */
  constructor(dir: string) {
    // Without a slash at its end, which would follow a link.
    this.#dir = resolve(dir);
    this.#made = this.#make();
    this.#fd = this.#hold();
    this.#at = existsSync("/proc/self/fd") ? `/proc/self/fd/${this.#fd}` : this.#dir;
    try {
      this.#check();
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /** Makes a file, and the directories above it, which others can neither read nor enter. */
  put(path: string, text: string): void {
    this.directory(path.includes("/") ? dirname(path) : "");
    this.#attempt(path, () => {
      const { O_WRONLY, O_CREAT, O_EXCL, O_NOFOLLOW } = constants;
      const fd = openSync(`${this.#at}/${path}`, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, OWNER_READS);
      try {
        const bytes = Buffer.from(text);
        for (let at = 0; at < bytes.length; ) at += writeSync(fd, bytes, at);
      } finally {
        closeSync(fd);
      }
    });
  }

  /** Makes a directory, and those above it, where they are not there yet. */
  directory(path: string): void {
    this.#filled = true;
    if (path !== "")
      this.#attempt(path, () => mkdirSync(`${this.#at}/${path}`, { recursive: true, mode: OWNER_ONLY }));
  }

  /** Lets go of it; one that was made and never filled goes away. Idempotent. */
  close(): void {
    if (!this.#open) return;
    this.#open = false;
    closeSync(this.#fd);
    if (!this.#made || this.#filled) return;
    try {
      rmdirSync(this.#dir);
    } catch {
      // It is empty: nothing of ours is left in it, whoever keeps it.
    }
  }

  #make(): boolean {
    const cannot = (error: unknown) =>
      this.#refusal(error, `cannot be made (${codeOf(error)}): name a directory that you may write to`);
    try {
      mkdirSync(dirname(this.#dir), { recursive: true, mode: OWNER_ONLY });
    } catch (error) {
      throw cannot(error);
    }
    try {
      mkdirSync(this.#dir, { mode: OWNER_ONLY });
      return true;
    } catch (error) {
      if (codeOf(error) === "EEXIST") return false;
      throw cannot(error);
    }
  }

  #hold(): number {
    try {
      return openSync(this.#dir, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW);
    } catch (error) {
      if (codeOf(error) === "ENOTDIR" || codeOf(error) === "ELOOP")
        throw this.#refusal(error, "is there and is a link or a file: name a new directory", "EPERM");
      throw this.#refusal(error, `cannot be opened (${codeOf(error)}): name a new directory`);
    }
  }

  #check(): void {
    const { uid, mode } = fstatSync(this.#fd);
    if (process.geteuid !== undefined && (uid !== process.geteuid() || (mode & 0o022) !== 0))
      throw this.#refusal(
        undefined,
        "is there and other users may write into it: name a new directory",
        "EPERM",
      );
    if (readdirSync(this.#at).length > 0)
      throw this.#refusal(
        undefined,
        "holds something already: name a new directory for the capture",
        "EEXIST",
      );
  }

  #attempt(path: string, call: () => unknown): void {
    try {
      call();
    } catch (error) {
      throw this.#refusal(
        error,
        `is not whole: ${path} could not be written (${codeOf(error)}); remove it, make room, and take it again`,
      );
    }
  }

  #refusal(cause: unknown, problem: string, code?: DoctorErrorCode): DoctorError {
    const own = codeOf(cause);
    const named = code ?? (own === "EACCES" || own === "EPERM" ? own : "EIO");
    return new DoctorError(named, `the capture's directory ${this.#dir} ${problem}`, cause);
  }
}

function codeOf(error: unknown): string {
  return error instanceof Error && "code" in error ? String(error.code) : "EIO";
}
