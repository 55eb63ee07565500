/**
 * Files that are shipped beside the modules. They are found by the package's own name, since the modules that are published
 * lie elsewhere than those that are built here.
 */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const MANIFEST = import.meta.resolve("irqbypass/package.json");

/** The path of a file of the package. */
export function packageFile(path: string): string {
  return fileURLToPath(new URL(path, MANIFEST));
}

/** The version of the package. */
export function packageVersion(): string {
  return (JSON.parse(readFileSync(packageFile("package.json"), "utf8")) as { version: string }).version;
}
