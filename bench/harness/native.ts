import { execFile } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { Unavailable } from "./suite.js";

const run = promisify(execFile);
// From build/harness to the sources.
const sources = fileURLToPath(new URL("../../c/", import.meta.url));

/** Compiles programs of `bench/c` into a temporary folder, each once. */
export class Compiler implements Disposable {
  private readonly programs = new Map<string, Promise<string>>();
  private folder: string | undefined;

  /** Path of the compiled program. Rejects with {@link Unavailable} without a compiler, or with what it said. */
  compile(source: string): Promise<string> {
    let program = this.programs.get(source);
    if (program === undefined) {
      program = this.build(source);
      this.programs.set(source, program);
    }
    return program;
  }

  private async build(source: string): Promise<string> {
    this.folder ??= this.makeFolder();
    const program = join(this.folder, source.replace(/\.c$/, ""));
    try {
      await run("cc", ["-O2", "-std=gnu11", "-pthread", "-o", program, join(sources, source)]);
    } catch (error) {
      const { code, stderr } = error as { code?: unknown; stderr?: string };
      if (code === "ENOENT") throw new Unavailable("there is no C compiler (cc) on this machine");
      throw new Unavailable(`cc failed on bench/c/${source}: ${stderr?.split("\n")[0] ?? String(error)}`);
    }
    return program;
  }

  private makeFolder(): string {
    const folder = mkdtempSync(join(tmpdir(), "irqbypass-bench-"));
    process.on("exit", this.remove); // a run that is broken off leaves nothing behind either
    return folder;
  }

  private readonly remove = (): void => {
    if (this.folder !== undefined) rmSync(this.folder, { recursive: true, force: true });
  };

  [Symbol.dispose](): void {
    this.remove();
    process.off("exit", this.remove);
  }
}
