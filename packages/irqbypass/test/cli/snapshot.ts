import assert from "node:assert/strict";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { type Line, paint, width } from "#src/cli/style.js";

/** Compares lines with the file of this name; with UPDATE_SNAPSHOTS=1 it writes the file. */
export function matchSnapshot(name: string, lines: readonly Line[], columns: number): void {
  const text = lines.map((line) => `${paint(line, false)}\n`).join("");
  for (const line of lines) assert.ok(width(line) <= columns, `wider than ${columns}: ${paint(line, false)}`);
  const file = `test/cli/snapshots/${name}.txt`;
  if (process.env.UPDATE_SNAPSHOTS === "1") writeFileSync(file, text);
  assert.ok(existsSync(file), `${file} is missing: run with UPDATE_SNAPSHOTS=1 and look at it`);
  assert.equal(text, readFileSync(file, "utf8"));
}
