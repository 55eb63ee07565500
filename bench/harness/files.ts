import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { compile, createMemory, instantiate, type WasmMemory } from "irqbypass/internal/host/wasm.js";
import { Unavailable } from "./suite.js";

const run = promisify(execFile);
// From build/harness to the sources, and to what the package ships.
const source = fileURLToPath(new URL("../../c/file.c", import.meta.url));
const include = fileURLToPath(new URL("../../../packages/irqbypass/include", import.meta.url));
const PAGE = 65536;

/** What `bench/c/file.c` has. */
export interface Exports {
  bare(files: number, n: number): void;
  post(files: number, n: number): void;
  reset(files: number, n: number, bits: number): void;
}

/** The module, and a memory with room for so many files from `start` on. Rejects with {@link Unavailable} without clang. */
export async function loadFiles(
  count: number,
): Promise<{ exports: Exports; memory: WasmMemory; start: number }> {
  const folder = mkdtempSync(join(tmpdir(), "irqbypass-bench-"));
  const out = join(folder, "file.wasm");
  try {
    await run("clang", [
      ...[
        "--target=wasm32",
        "-matomics",
        "-mbulk-memory",
        "-O2",
        "-ffreestanding",
        "-nostdlib",
        "-I",
        include,
      ],
      ...["-Wl,--no-entry", "-Wl,--import-memory", "-Wl,--shared-memory", "-Wl,--max-memory=1048576"],
      ...["-o", out, source],
    ]);
    const start = 4 * PAGE; // behind the module's own stack
    const memory = createMemory(16);
    if (start + 64 * count > 16 * PAGE) throw new Error(`there is no room for ${count} files`);
    return {
      exports: instantiate(compile(readFileSync(out)), { env: { memory } }) as Exports,
      memory,
      start,
    };
  } catch (error) {
    if ((error as { code?: unknown }).code === "ENOENT")
      throw new Unavailable("there is no clang on this machine");
    throw error;
  } finally {
    rmSync(folder, { recursive: true });
  }
}
