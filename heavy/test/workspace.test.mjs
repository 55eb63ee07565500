// The heavy workspace is installed by the tests that need it; where it cannot be, they say why.
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { whyNotInstalled } from "../workspace.mjs";

/** A folder with a package.json that asks for `asked`, and a lock file that has `locked`. */
function workspace(asked, locked) {
  const folder = mkdtempSync(join(tmpdir(), "heavy-"));
  const name = "workspace";
  const packages = { "": { name, dependencies: locked } };
  for (const [dependency, version] of Object.entries(locked))
    packages[`node_modules/${dependency}`] = { version, integrity: `sha512-${"A".repeat(86)}==` };
  const write = (file, content) => writeFileSync(join(folder, file), JSON.stringify(content));
  write("package.json", { name, private: true, dependencies: asked });
  write("package-lock.json", { name, lockfileVersion: 3, requires: true, packages });
  return folder;
}

describe("a workspace without a network", () => {
  const folders = [];
  const saved = { ...process.env };
  before(() => {
    const cache = mkdtempSync(join(tmpdir(), "npm-"));
    folders.push(cache);
    Object.assign(process.env, { npm_config_registry: "http://127.0.0.1:9", npm_config_cache: cache });
  });
  after(() => {
    process.env = saved;
    for (const folder of folders) rmSync(folder, { recursive: true });
  });
  const made = (...what) => {
    folders.push(workspace(...what));
    return folders.at(-1);
  };

  it("is not installed, and says why", async () => {
    const folder = made({ "playwright-core": "1.0.0" }, { "playwright-core": "1.0.0" });
    assert.match(await whyNotInstalled(folder), /cannot reach its registry \(ECONNREFUSED\)/);
  });

  it("is installed where that takes nothing, and stays so", async () => {
    const folder = made({}, {});
    assert.equal(await whyNotInstalled(folder), false);
    assert.equal(await whyNotInstalled(folder), false);
  });

  it("fails, and is not skipped, for what is no matter of the network", async () => {
    const folder = made({}, {});
    rmSync(join(folder, "package-lock.json"));
    await assert.rejects(whyNotInstalled(folder), /npm ci in .* ended with 1.*package-lock\.json/s);
  });
});
