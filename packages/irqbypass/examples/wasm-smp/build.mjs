// The kernel, compiled.
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const include = join(dirname(createRequire(import.meta.url).resolve("irqbypass/package.json")), "include");

/** The kernel as WebAssembly. Throws where clang or lld is missing. */
export function build() {
  const folder = mkdtempSync(join(tmpdir(), "wasm-smp-"));
  const out = join(folder, "kernel.wasm");
  try {
    execFileSync("clang", [
      ...[
        "--target=wasm32",
        "-matomics",
        "-mbulk-memory",
        "-mmutable-globals",
        "-O2",
        "-ffreestanding",
        "-nostdlib",
      ],
      ...["-Wl,--no-entry", "-Wl,--import-memory", "-Wl,--shared-memory", "-Wl,--max-memory=1048576"],
      ...["-Wl,--export=__stack_pointer", "-I", include, "-o", out, join(here, "kernel.c")],
    ]);
    return readFileSync(out);
  } finally {
    rmSync(folder, { recursive: true });
  }
}
