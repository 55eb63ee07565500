// The loop over versions of Node: each run is told, and one that goes wrong makes the whole go wrong.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { fileURLToPath } from "node:url";

const MATRIX = fileURLToPath(new URL("../matrix.mjs", import.meta.url));
const HERE = process.versions.node.split(".")[0];
const folder = mkdtempSync(join(tmpdir(), "matrix-"));
after(() => rmSync(folder, { recursive: true }));
const logs = join(folder, "logs");
const run = (...args) => spawnSync(process.execPath, [MATRIX, "--logs", logs, ...args], { encoding: "utf8" });

test("runs what is named as often as is asked, and keeps what was printed", () => {
  const { status, stdout } = run("--on", HERE, "--times", "2", "scripts/test/floors");
  assert.equal(status, 0);
  assert.match(stdout, new RegExp(`^ok   Node ${HERE}, 1 of 2: \\d+ passed, 0 failed, 0 skipped`));
  assert.match(stdout, /2 runs, 0 failed; their output is in .*logs\n$/);
  assert.equal(readdirSync(logs).length, 4);
});

test("fails where a run does, and says what that said", () => {
  const skips = join(folder, "skips.json");
  writeFileSync(
    skips,
    '[{ "file": "scripts/test/floors.test.mjs", "test": "none", "reason": "there is none" }]',
  );
  const { status, stdout } = run("--on", HERE, "--skips", skips, "scripts/test/floors");
  assert.equal(status, 1);
  assert.match(stdout, /none: is on the list, and was not skipped/);
  assert.match(stdout, /1 runs, 1 failed/);
  assert.equal(run("--on", HERE, "no/such/file").status, 1);
});

test("refuses what is no number of runs", () => {
  for (const times of ["0", "-1", "1.5", "many"]) assert.equal(run(`--times=${times}`).status, 2);
});
