/**
 * A capture as the tar archive that the collector writes, read in place: unpacking a stranger's archive would be
 * trusting it. Names that lead out, devices, hard links, and more or larger files than a host has are refused.
 */
import { closeSync, constants, fstatSync, openSync, readSync } from "node:fs";
import { basename } from "node:path";
import { DoctorError, type DoctorErrorCode } from "./error.js";
import type { Files } from "./source.js";
import { BLOCK, headerOf, type TarHeader } from "./tar.js";
import { LIMITS, SAVED } from "./tree.js";

/** Files and directories in one archive: a host of 20,000 vectors makes 160,000. */
const MOST_NAMES = 400_000;
/** Longest path, and most directories above a file. */
const LONGEST = 1024;
const DEEPEST = 24;

/** An archive, its headers read and its contents not yet. */
export class Archive implements Files {
  readonly #fd: number;
  readonly #name: string;
  readonly #files = new Map<string, { readonly at: number; readonly size: number }>();
  readonly #links = new Map<string, string>();
  /** Names in each directory. */
  readonly #names = new Map<string, Set<string>>([["", new Set()]]);
  #count = 0;
  #open = true;

  /**
   * Opens an archive and reads its headers.
   * @throws DoctorError EINVAL if it is none or not a capture's; EFBIG or E2BIG if it holds too much; EIO.
   */
  constructor(path: string) {
    this.#name = basename(path);
    this.#fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    try {
      this.#readHeaders();
    } catch (error) {
      this.close();
      throw error;
    }
  }

  close(): void {
    if (this.#open) closeSync(this.#fd);
    this.#open = false;
  }

  list(path: string): string[] {
    return [...(this.#names.get(path) ?? absent(path))];
  }

  read(path: string): string {
    const { at, size } = this.#files.get(path) ?? absent(path);
    const text = Buffer.alloc(size);
    if (readSync(this.#fd, text, 0, size, at) !== size)
      throw this.#refusal("EIO", `changed while it was read`);
    return text.toString("utf8");
  }

  link(path: string): string {
    return this.#links.get(path) ?? absent(path);
  }

  #readHeaders(): void {
    const stat = fstatSync(this.#fd);
    if (!stat.isFile()) throw this.#refusal("EINVAL", "is neither a file nor a directory");
    if (stat.size > SAVED.bytes + MOST_NAMES * BLOCK * 2)
      throw this.#refusal("EFBIG", `has ${figure(stat.size)} bytes, more than a host's files have together`);
    const entries: [path: string, header: TarHeader][] = [];
    const pending: { path?: string; target?: string } = {};
    let bytes = 0;
    for (let at = 0; ; ) {
      const block = this.#block(at);
      at += BLOCK;
      if (block === undefined || block.every((byte) => byte === 0)) break;
      const header = headerOf(block, (problem) => this.#refusal("EINVAL", problem));
      const end = at + Math.ceil(header.size / BLOCK) * BLOCK;
      if (header.size > LIMITS.fileBytes) {
        const most = `more than the ${figure(LIMITS.fileBytes)} that a file of a host may have`;
        throw this.#refusal("EFBIG", `holds ${header.path} of ${figure(header.size)} bytes, ${most}`);
      }
      if (end > stat.size + BLOCK) throw this.#refusal("EINVAL", `ends within ${header.path}: copy it again`);
      if (header.kind === "long name" || header.kind === "long target") {
        const text = this.#text(at, header.size, header.path);
        if (header.kind === "long name") pending.path = text;
        else pending.target = text;
      } else if (header.kind === "extended") {
        Object.assign(pending, this.#extended(this.#text(at, header.size, header.path)));
      } else if (header.kind !== "nothing") {
        const whole = {
          ...header,
          path: pending.path ?? header.path,
          target: pending.target ?? header.target,
        };
        delete pending.path;
        delete pending.target;
        bytes += whole.size;
        if (bytes > SAVED.bytes) throw this.#refusal("EFBIG", `holds more than ${figure(SAVED.bytes)} bytes`);
        if (entries.length === MOST_NAMES)
          throw this.#refusal("E2BIG", `holds more than ${figure(MOST_NAMES)} files: a host has fewer`);
        entries.push([this.#steps(whole.path).join("/"), { ...whole, at }]);
      }
      at = end;
    }
    this.#fill(entries);
  }

  /** Takes the entries below the directory that holds `about`. */
  #fill(entries: readonly (readonly [path: string, header: TarHeader])[]): void {
    const about = entries
      .map(([path]) => path)
      .find((path) => path === "about" || /^[^/]+\/about$/.test(path));
    if (about === undefined) throw this.#refusal("EINVAL", 'has no file "about": it is no capture');
    const top = about.slice(0, -"about".length);
    for (const [path, header] of entries) {
      if (path === "" || `${path}/` === top) continue;
      if (!path.startsWith(top)) throw this.#refusal("EINVAL", `holds ${path} outside of ${top}`);
      this.#add(path.slice(top.length), header);
    }
  }

  #add(path: string, { kind, at, size, target }: TarHeader): void {
    if (this.#files.has(path) || this.#links.has(path))
      throw this.#refusal("EINVAL", `holds ${path} twice: take the capture again`);
    if (kind === "file") this.#files.set(path, { at, size });
    if (kind === "link") this.#links.set(path, target);
    if (kind === "directory") this.#directory(path);
    const slash = path.lastIndexOf("/");
    this.#directory(path.slice(0, Math.max(slash, 0))).add(path.slice(slash + 1));
  }

  /** The names in a directory, which is made with those above it. */
  #directory(path: string): Set<string> {
    const known = this.#names.get(path);
    if (known !== undefined) return known;
    this.#count += 1;
    if (this.#count > MOST_NAMES)
      throw this.#refusal("E2BIG", `holds more than ${figure(MOST_NAMES)} directories`);
    const names = new Set<string>();
    this.#names.set(path, names);
    const slash = path.lastIndexOf("/");
    this.#directory(path.slice(0, Math.max(slash, 0))).add(path.slice(slash + 1));
    return names;
  }

  /** A path as its names. */
  #steps(path: string): string[] {
    const steps = path.split("/").filter((step) => step !== "" && step !== ".");
    if (path.startsWith("/") || steps.includes(".."))
      throw this.#refusal("EINVAL", `names ${path}, outside of itself: no capture does`);
    if (path.length > LONGEST || steps.length > DEEPEST)
      throw this.#refusal("EINVAL", `holds a path longer than a host's: ${path.slice(0, 80)}`);
    return steps;
  }

  /** Records "LENGTH KEY=VALUE\n" of an extended header. */
  #extended(text: string): { path?: string; target?: string } {
    const found: { path?: string; target?: string } = {};
    for (const [, key, value] of text.matchAll(/^\d+ ([^=\n]+)=(.*)$/gm)) {
      if (key === "path") found.path = value!;
      else if (key === "linkpath") found.target = value!;
      else if (key === "size" || key?.startsWith("GNU.sparse"))
        throw this.#refusal("EINVAL", "holds a sparse file, or one of more than 8 GB: no host's file is");
    }
    return found;
  }

  /** The contents of a header of its own kind, which are names. */
  #text(at: number, size: number, path: string): string {
    if (size > 64 * 1024) throw this.#refusal("EINVAL", `holds a name of ${figure(size)} bytes (${path})`);
    const text = Buffer.alloc(size);
    readSync(this.#fd, text, 0, size, at);
    return text.toString("utf8").replace(/\0+$/, "");
  }

  /** One block; undefined at the end. */
  #block(at: number): Buffer | undefined {
    const block = Buffer.alloc(BLOCK);
    const count = readSync(this.#fd, block, 0, BLOCK, at);
    if (count === BLOCK) return block;
    if (count === 0 && at > 0) return undefined;
    throw this.#refusal("EINVAL", "is no tar archive, or not a whole one");
  }

  #refusal(code: DoctorErrorCode, problem: string): DoctorError {
    return new DoctorError(code, `${this.#name} ${problem}`);
  }
}

function absent(path: string): never {
  throw Object.assign(new Error(path), { code: "ENOENT" });
}

function figure(value: number): string {
  return value.toLocaleString("en-US");
}
