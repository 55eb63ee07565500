/** C for the tests: compiled with clang and lld where they are. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const packageFolder = fileURLToPath(new URL("../../../", import.meta.url));

const has = (name: string) => spawnSync(name, ["--version"]).status === 0;

/** Why nothing can be compiled here; undefined where it can. */
export function whyNoClang(): string | undefined {
  return has("clang") && has("wasm-ld") ? undefined : "needs clang and lld: apt-get install clang lld";
}

/** A source of this package, compiled to a module that imports `env.memory`. Throws what the compiler says. */
export function compileC(source: string, flags: readonly string[] = []): Uint8Array<ArrayBuffer> {
  const folder = mkdtempSync(join(tmpdir(), "irqbypass-c-"));
  const out = join(folder, "out.wasm");
  try {
    const { status, stderr } = spawnSync(
      "clang",
      [
        ...["--target=wasm32", "-matomics", "-mbulk-memory", "-O2", "-nostdlib", "-ffreestanding"],
        ...["-Wall", "-Wextra", "-Werror", "-I", join(packageFolder, "include")],
        ...["-Wl,--no-entry", "-Wl,--import-memory", "-Wl,--shared-memory", "-Wl,--max-memory=1048576"],
        ...["-o", out, ...flags, join(packageFolder, source)],
      ],
      { encoding: "utf8" },
    );
    if (status !== 0) throw new Error(stderr);
    return new Uint8Array(readFileSync(out));
  } finally {
    rmSync(folder, { recursive: true });
  }
}
