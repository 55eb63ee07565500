// The worked examples of docs/explorer.md and the README, run as they are printed there, say what is printed there.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../../", import.meta.url));
const doc = readFileSync(`${root}docs/explorer.md`, "utf8");

/** The code block whose first line names the file. */
function codeOf(file: string): string {
  const blocks = [...doc.matchAll(/^```js\n(.*?)^```$/gms)].map(([, code]) => code!);
  const found = blocks.filter((code) => code.startsWith(`// ${file}\n`));
  assert.equal(found.length, 1, `docs/explorer.md has ${found.length} blocks that begin with // ${file}`);
  return found[0]!;
}

/** The indented block after the sentence that says what the command prints. */
function outputOf(command: string): string {
  const start = doc.indexOf(`\`${command}\` says (times left out):\n`);
  assert.ok(start >= 0, `docs/explorer.md does not say what ${command} prints`);
  const [, block] = /:\n\n((?: {4}.*\n)+)/.exec(doc.slice(start))!;
  return block!.replace(/^ {4}/gm, "");
}

test("the ring buffer of docs/explorer.md is explored as printed, and says what is printed", () => {
  // Inside the package, so that it finds the package by its name.
  const folder = mkdtempSync(join(root, "build", "example-"));
  try {
    writeFileSync(join(folder, "ring.mjs"), codeOf("ring.mjs"));
    const { status, stdout, stderr } = spawnSync(
      process.execPath,
      [`${root}build/src/cli/main.js`, "./ring.mjs"],
      { cwd: folder, encoding: "utf8" },
    );
    assert.equal(status, 0, stdout + stderr);
    const said = stdout.replace(/ in [\d.]+ s \(.*$/gm, "");
    assert.equal(said.slice(0, said.indexOf("\n\n") + 1), outputOf("atomics-explorer ./ring.mjs"));
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("the scenario of the README holds, and its twin is caught", () => {
  const [, code] =
    /```js\n(\/\/ count\.mjs\n[\s\S]*?)```/.exec(readFileSync(`${root}README.md`, "utf8")) ?? [];
  assert.ok(code !== undefined, "the README has no count.mjs");
  const folder = mkdtempSync(join(root, "build", "readme-"));
  try {
    writeFileSync(join(folder, "count.mjs"), code);
    const command = `${root}build/src/cli/main.js`;
    const { status, stdout } = spawnSync(process.execPath, [command, "./count.mjs"], {
      cwd: folder,
      encoding: "utf8",
    });
    assert.equal(status, 0, stdout);
    assert.match(stdout, /^ok +\.\/count\.mjs\/count:.*\n.*\n +exhaustive/);
    assert.match(stdout, /twin \.\/count\.mjs\/count\/torn:.*\n +caught .*an addition was lost/);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
