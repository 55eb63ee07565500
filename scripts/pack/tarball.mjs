// A package as others get it: what is in its tarball, and the tarball in an empty folder.
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { ROOT } from "./packages.mjs";

const MAIN = fileURLToPath(new URL("main.mjs", import.meta.url));
const QUIET = ["--no-audit", "--no-fund", "--prefer-offline", "--ignore-scripts", "--omit=optional"];

/** Runs a program to its end and returns what it prints; throws with all of that where it fails. */
export function run(command, args, cwd, options = {}) {
  const { NODE_TEST_CONTEXT: _, NODE_OPTIONS: __, ...env } = process.env;
  const { status, signal, stdout, stderr, error } = spawnSync(command, args, {
    cwd,
    env,
    encoding: "utf8",
    maxBuffer: 2 ** 26,
    ...options,
  });
  if (error !== undefined) throw error;
  if (status !== 0)
    throw new Error(`${command} ${args.join(" ")} ended with ${status ?? signal}\n${stdout}${stderr}`);
  return stdout;
}

/** The tarballs of packages in an empty folder, without optional dependencies. */
export class Installed {
  folder = mkdtempSync(join(tmpdir(), "installed-"));
  /** By the name of the package: the paths of its tarball's files, and what the tarball takes. */
  tarballs = new Map();

  constructor(names) {
    const stagings = run(process.execPath, [MAIN, ...names], ROOT)
      .trim()
      .split("\n");
    const pack = ["pack", "--ignore-scripts", "--json", "--pack-destination", this.folder];
    const files = stagings.map((staging) => {
      const [{ name, filename, size, files }] = JSON.parse(run("npm", pack, staging));
      this.tarballs.set(name, { bytes: size, files: files.map(({ path }) => path).sort() });
      return join(this.folder, filename);
    });
    this.write("package.json", JSON.stringify({ name: "user", private: true, type: "module" }));
    run("npm", ["install", ...QUIET, ...files], this.folder);
  }

  /** Lends it a package of this checkout, such as an optional dependency. */
  link(name) {
    symlinkSync(join(ROOT, "node_modules", name), this.path(name), "junction");
  }

  /** The path of an installed package, or of a file of it. */
  path(name, file = "") {
    return join(this.folder, "node_modules", name, file);
  }

  write(name, text) {
    mkdirSync(join(this.folder, name, ".."), { recursive: true });
    writeFileSync(join(this.folder, name), text);
  }

  /** Runs Node in the folder. */
  node(...args) {
    return run(process.execPath, args, this.folder);
  }

  remove() {
    rmSync(this.folder, { recursive: true, force: true });
  }
}
