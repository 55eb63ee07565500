// The worked example of docs/explore.md, run as it is printed there, says what is printed there.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../../../", import.meta.url));
const doc = readFileSync(`${root}docs/explore.md`, "utf8");

/** The code block whose first line names the file. */
function codeOf(file: string): string {
  const blocks = [...doc.matchAll(/^```js\n(.*?)^```$/gms)].map(([, code]) => code!);
  const found = blocks.filter((code) => code.startsWith(`// ${file}\n`));
  assert.equal(found.length, 1, `docs/explore.md has ${found.length} blocks that begin with // ${file}`);
  return found[0]!;
}

/** The indented block after the sentence that says what the command prints. */
function outputOf(command: string): string {
  const start = doc.indexOf(`\`${command}\` says (times left out):\n`);
  assert.ok(start >= 0, `docs/explore.md does not say what ${command} prints`);
  const [, block] = /:\n\n((?: {4}.*\n)+)/.exec(doc.slice(start))!;
  return block!.replace(/^ {4}/gm, "");
}

test("the ring buffer of docs/explore.md is explored as printed, and says what is printed", () => {
  // Inside the package, so that it finds the package by its name.
  const folder = mkdtempSync(join(root, "build", "example-"));
  try {
    writeFileSync(join(folder, "ring.mjs"), codeOf("ring.mjs"));
    const { status, stdout, stderr } = spawnSync(
      process.execPath,
      [`${root}dist/cli/main.js`, "explore", "./ring.mjs"],
      { cwd: folder, encoding: "utf8" },
    );
    assert.equal(status, 0, stdout + stderr);
    const said = stdout.replace(/ in [\d.]+ s \(.*$/gm, "");
    assert.equal(said.slice(0, said.indexOf("\n\n") + 1), outputOf("irqbypass explore ./ring.mjs"));
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("the museum's line in docs/explore.md is what the command prints", () => {
  const start = doc.indexOf("The museum says of each bug:\n\n");
  const printed = /((?: {4}.*\n)+)/.exec(doc.slice(start))![1]!.replace(/^ {4}/gm, "");
  const { stdout } = spawnSync(
    process.execPath,
    [`${root}dist/cli/main.js`, "explore", "--museum", "posting/halt"],
    { encoding: "utf8" },
  );
  assert.equal(stdout.slice(0, printed.length), printed);
});
