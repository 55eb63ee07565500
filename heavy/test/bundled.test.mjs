// The tarball through bundlers: its workers are found, what they make runs in a page, and a first program is small.
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { Installed } from "../../scripts/pack/tarball.mjs";
import { BUNDLERS, bundle, firstProgram } from "../bundlers.mjs";
import { inBrowser } from "../in-browser.mjs";
import { whyNotInstalled } from "../workspace.mjs";

const PROGRAMS = fileURLToPath(new URL("../programs/", import.meta.url));
const { page: limits } = JSON.parse(
  readFileSync(new URL("../../scripts/pack/limits.json", import.meta.url), "utf8"),
);

describe("bundled", { skip: await whyNotInstalled() }, async () => {
  let installed;
  before(async () => {
    installed = await Installed.make(["irqbypass"]);
    for (const program of readdirSync(PROGRAMS))
      installed.write(program, readFileSync(join(PROGRAMS, program), "utf8"));
  });
  after(() => installed?.remove());

  for (const [entry, limit] of Object.entries(limits))
    it(`a first program in a page is no larger than its limit, gzipped: ${entry}`, async () => {
      const bytes = await firstProgram(installed, entry);
      assert.ok(bytes <= limit, `${bytes} bytes, ${limit} at most`);
    });

  await inBrowser(({ open }) => {
    for (const bundler of BUNDLERS) {
      it(`${bundler}: an interrupt is posted, and one carried by a worker that was bundled`, async () => {
        const page = await open(await bundle(bundler, installed, "both-ways.mjs"));
        const result = await page.run("main.js");
        assert.deepEqual(result, {
          platform: "web",
          fastPath: "wasm",
          seen: ["posted interrupt 65", "relayed interrupt 65"],
          findings: [],
        });
        assert.deepEqual(page.errors, []);
        await page.close();
      });

      it(`${bundler}: a slim host repairs after a worker, with what it loads late`, async () => {
        const page = await open(await bundle(bundler, installed, "slim.mjs"));
        assert.deepEqual(await page.run("main.js"), {
          fastPaths: ["typescript", "wasm"],
          provable: true,
          seen: ["posted", "interrupt", "thread-died"],
        });
        assert.deepEqual(page.errors, []);
        await page.close();
      });

      it(`${bundler}: what asks for KVM is bundled, and hears that a page has none`, async () => {
        const page = await open(await bundle(bundler, installed, "why-no-kvm.mjs"));
        assert.match(await page.run("main.js"), /^ENOSYS: KVM guests need Node\.js on Linux/);
        assert.deepEqual(page.errors, []);
        await page.close();
      });
    }
  });
});
