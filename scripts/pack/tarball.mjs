// A package as others get it: what is in its tarball, and the tarball in an empty folder.
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ROOT } from "./packages.mjs";
import { stage } from "./stage.mjs";

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
  /** By the name of the package: its tarball, the paths of the files in it, and what it takes. */
  tarballs = new Map();

  /** Makes them anew, in no folder that another run uses. */
  static async make(names) {
    const installed = new Installed();
    const pack = ["pack", "--ignore-scripts", "--json", "--pack-destination", installed.folder];
    const tarballs = [];
    for (const name of names) {
      const staging = join(installed.folder, "staging", name);
      await stage(name, staging);
      const [{ filename, size, files }] = JSON.parse(run("npm", pack, staging));
      const path = join(installed.folder, filename);
      installed.tarballs.set(name, { path, bytes: size, files: files.map(({ path }) => path).sort() });
      tarballs.push(path);
    }
    rmSync(join(installed.folder, "staging"), { recursive: true });
    installed.write("package.json", JSON.stringify({ name: "user", private: true, type: "module" }));
    run("npm", ["install", ...QUIET, ...tarballs], installed.folder);
    return installed;
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

  /** Writes what a strict project without types of its own compiles `files` with: `options` say more. */
  writeProject(files, options = {}) {
    this.write("console.d.ts", "declare const console: { log(...values: unknown[]): void };\n");
    const strict = {
      strict: true,
      noEmit: true,
      target: "es2022",
      lib: ["es2022"],
      module: "nodenext",
      types: [],
    };
    const compilerOptions = { ...strict, ...options };
    this.write("tsconfig.json", JSON.stringify({ compilerOptions, files: ["console.d.ts", ...files] }));
  }

  /** Runs Node in the folder. */
  node(...args) {
    return run(process.execPath, args, this.folder);
  }

  remove() {
    rmSync(this.folder, { recursive: true, force: true });
  }
}
