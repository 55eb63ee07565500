/** The package as others get it: packed, and installed from the tarball into an empty folder. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

/** The project's own folder. */
export const ROOT = fileURLToPath(new URL("../../..", import.meta.url));

interface Manifest {
  readonly name: string;
  readonly version: string;
  readonly exports: Readonly<Record<string, string | { readonly types: string; readonly default: string }>>;
  readonly bin: Readonly<Record<string, string>>;
}

/** What is published, made anew from what was built. */
const staging = run(process.execPath, [join(ROOT, "../../scripts/pack/main.mjs"), "irqbypass"], ROOT).trim();

export const manifest = JSON.parse(readFileSync(join(staging, "package.json"), "utf8")) as Manifest;

/** Where the workspace has its tools. */
export const TOOLS = join(ROOT, "../../node_modules");

/** Runs a command to its end; throws with all its output where it fails. */
export function run(command: string, args: readonly string[], cwd: string): string {
  const { NODE_TEST_CONTEXT: _, NODE_OPTIONS: __, ...env } = process.env;
  const { status, stdout, stderr, error } = spawnSync(command, args, {
    cwd,
    env,
    encoding: "utf8",
    timeout: 110_000,
  });
  if (error !== undefined) throw error;
  if (status !== 0) throw new Error(`${command} ${args.join(" ")} ended with ${status}\n${stdout}${stderr}`);
  return stdout;
}

export class Installed {
  readonly folder = mkdtempSync(join(tmpdir(), "irqbypass-pack-"));
  /** Without optional dependencies, so that it is what a machine gets that has none of them. */
  constructor() {
    const packed = run(
      "npm",
      ["pack", "--ignore-scripts", "--json", "--pack-destination", this.folder],
      staging,
    );
    const [tarball] = JSON.parse(packed) as { readonly filename: string }[];
    this.write("package.json", JSON.stringify({ name: "user", private: true, type: "module" }));
    const quiet = ["--no-audit", "--no-fund", "--prefer-offline", "--ignore-scripts", "--omit=optional"];
    run("npm", ["install", ...quiet, join(this.folder, tarball!.filename)], this.folder);
  }

  write(name: string, text: string): void {
    writeFileSync(join(this.folder, name), text);
  }

  /** Runs a JavaScript program in the folder and returns what it prints. */
  node(name: string, text: string): string {
    this.write(name, text);
    return run(process.execPath, [name], this.folder);
  }

  /** The path of a file of the installed package. */
  path(file: string): string {
    return join(this.folder, "node_modules", manifest.name, file);
  }

  remove(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}
