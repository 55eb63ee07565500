// The tarball through bundlers: its workers are found, what they make runs in a page, and a first program is small.
import assert from "node:assert/strict";
import { mkdirSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { Installed } from "../../scripts/pack/tarball.mjs";
import { Browser } from "../browser.mjs";
import { browserTests, whyNotInstalled } from "../workspace.mjs";

const PROGRAMS = fileURLToPath(new URL("../programs/", import.meta.url));
const { page: limits } = JSON.parse(
  readFileSync(new URL("../../scripts/pack/limits.json", import.meta.url), "utf8"),
);

/** Bundles a program of the installed folder, which exports what it exports as `main.js` in `out`. */
const BUNDLERS = {
  async vite(folder, program, out) {
    const { build } = await import("vite");
    await build({
      root: folder,
      configFile: false,
      logLevel: "error",
      base: "./",
      build: {
        outDir: out,
        target: "es2023",
        modulePreload: false,
        rollupOptions: {
          input: join(folder, program),
          preserveEntrySignatures: "strict",
          output: { entryFileNames: "main.js" },
        },
      },
      worker: { format: "es" },
    });
  },
  async webpack(folder, program, out) {
    const { default: webpack } = await import("webpack");
    const compiler = webpack({
      mode: "production",
      context: folder,
      entry: join(folder, program),
      experiments: { outputModule: true },
      output: { path: out, filename: "main.js", module: true, library: { type: "module" } },
    });
    const stats = await new Promise((resolve, reject) => {
      compiler.run((error, done) => (error ? reject(error) : resolve(done)));
    });
    await new Promise((resolve) => compiler.close(resolve));
    assert.deepEqual(stats.compilation.errors, []);
  },
};

describe("bundled", { skip: await whyNotInstalled() }, () => {
  let installed;
  before(async () => {
    installed = await Installed.make(["irqbypass"]);
    for (const program of readdirSync(PROGRAMS))
      installed.write(program, readFileSync(join(PROGRAMS, program), "utf8"));
  });
  after(() => installed?.remove());

  async function bundle(bundler, program) {
    const out = join(installed.folder, `${bundler}-${program}`);
    mkdirSync(out);
    await BUNDLERS[bundler](installed.folder, program, out);
    return out;
  }

  it("a first program in a page is no larger than its limit, gzipped", async () => {
    const out = await bundle("vite", "first.mjs");
    const bytes = gzipSync(readFileSync(join(out, "main.js"))).length;
    assert.ok(bytes <= limits.gzipped, `${bytes} bytes`);
  });

  describe("in a page", async () => {
    const needs = await browserTests();
    let browser;
    before(async () => {
      if (!needs.skip) browser = await Browser.start();
    });
    after(() => browser?.close());

    for (const bundler of Object.keys(BUNDLERS)) {
      it(
        `${bundler}: an interrupt is posted, and one carried by a worker that was bundled`,
        needs,
        async () => {
          const page = await browser.open(await bundle(bundler, "both-ways.mjs"));
          const result = await page.run("main.js");
          assert.deepEqual(result, {
            platform: "web",
            fastPath: "wasm",
            seen: ["posted interrupt 65", "relayed interrupt 65"],
            findings: [],
          });
          assert.deepEqual(page.errors, []);
          await page.close();
        },
      );

      it(`${bundler}: what asks for KVM is bundled, and hears that a page has none`, needs, async () => {
        const page = await browser.open(await bundle(bundler, "why-no-kvm.mjs"));
        assert.match(await page.run("main.js"), /^ENOSYS: KVM guests need Node\.js on Linux/);
        assert.deepEqual(page.errors, []);
        await page.close();
      });
    }
  });
});
