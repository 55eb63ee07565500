/**
 * The doctor with one line of it changed: what shows that a test notices. A copy of its modules is made and imported in its
 * place, so that what ships has no seam for it.
 */
import assert from "node:assert/strict";
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import type * as doctor from "#src/index.js";

export type Doctor = Pick<typeof doctor, "inspectHost">;

/** A change of what is compiled: in a module, `from` becomes `to`. */
export interface Weakening {
  /** Below src/: "parse/irq". */
  readonly module: string;
  readonly from: string;
  readonly to: string;
}

const BUILT = fileURLToPath(new URL("../src", import.meta.url));

/** The text of a module as it is compiled. */
export function compiled(module: string): string {
  return readFileSync(join(BUILT, `${module}.js`), "utf8");
}

/** Each place where a module refuses a text, with that refusal left out. */
export function withoutRefusals(module: string): Weakening[] {
  const refusals = [...new Set(compiled(module).match(/throw (?:new FormatError\(|refuse\().*/g) ?? [])];
  return refusals.map((from) => ({ module, from, to: from.replace(/^throw /, "void ") }));
}

/** Imports the doctor as it is with `weakening` for the time of `use`. */
export async function withWeakened<T>(
  { module, from, to }: Weakening,
  use: (changed: Doctor, load: (module: string) => Promise<unknown>) => Promise<T>,
): Promise<T> {
  const text = compiled(module);
  assert.ok(text.includes(from), `${module} has no line ${from}`);
  const dir = mkdtempSync(join(tmpdir(), "irqbypass-weakened-"));
  try {
    cpSync(BUILT, dir, { recursive: true, filter: (path) => !/\.(map|d\.ts)$/.test(path) });
    writeFileSync(join(dir, "package.json"), '{ "type": "module" }\n');
    writeFileSync(
      join(dir, `${module}.js`),
      text.replaceAll(from, () => to),
    );
    const load = (name: string): Promise<unknown> => import(pathToFileURL(join(dir, `${name}.js`)).href);
    return await use((await load("index")) as Doctor, load);
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}
