import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { InterruptFile } from "irqbypass";
import { compile, createMemory, instantiate } from "irqbypass/internal/host/wasm.js";
import { Unavailable } from "./suite.js";

const run = promisify(execFile);
// From build/harness to the sources, and to what the package ships.
const source = fileURLToPath(new URL("../../c/file.c", import.meta.url));
const include = fileURLToPath(new URL("../../../packages/irqbypass/include", import.meta.url));
const PAGE = 65536;
const BYTES = 64;

/** What `bench/c/file.c` has. */
export interface Exports {
  bare(files: number, n: number): void;
  post(files: number, n: number): void;
  reset(files: number, n: number, bits: number): void;
}

/**
 * So many files, and the module over them, which has the header's code inlined, or calls what `file.imports()` gives. Rejects with
 * {@link Unavailable} without clang.
 */
export async function loadFiles(
  count: number,
  calls: boolean,
): Promise<{ exports: Exports; files: readonly InterruptFile[] }> {
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
      ...["-o", out, ...(calls ? ["-DIF_IMPORTED"] : []), source],
    ]);
    const start = 4 * PAGE; // behind the module's own stack
    const memory = createMemory(16);
    if (start + BYTES * count > 16 * PAGE) throw new Error(`there is no room for ${count} files`);
    const files = Array.from({ length: count }, (_, i) => InterruptFile.create(memory, start + BYTES * i));
    const imports = calls ? files[0]!.imports() : {};
    return {
      exports: instantiate(compile(readFileSync(out)), { env: { memory }, ...imports }) as Exports,
      files,
    };
  } catch (error) {
    if ((error as { code?: unknown }).code === "ENOENT")
      throw new Unavailable("there is no clang on this machine");
    throw error;
  } finally {
    rmSync(folder, { recursive: true });
  }
}
