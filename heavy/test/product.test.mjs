// The tarball as a product: by each bundler for production and by none, under a policy that a careful site has, in a real page.
import assert from "node:assert/strict";
import { cpSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { Installed } from "../../scripts/pack/tarball.mjs";
import { inBrowser } from "../in-browser.mjs";
import { makeProduct, PRODUCTS, startDevelopment } from "../products.mjs";
import { whyNotInstalled } from "../workspace.mjs";

const PROGRAMS = fileURLToPath(new URL("../programs/", import.meta.url));
/** No scripts but the site's own, no workers made of a blob. */
const POLICY = "script-src 'self'; worker-src 'self'; object-src 'none'; base-uri 'none'";
const COMPILES = POLICY.replace("'self'", "'self' 'wasm-unsafe-eval'");
/** What a browser writes of itself when a policy forbids to compile, whoever catches the refusal. */
const OF_ITSELF = { firefox: /Content-Security-Policy: .* blocked WebAssembly \(script-src\)/ };
const PARTS = ["paths", "waits", "death", "blocked", "two"];

const answers = (fastPath) => ({
  paths: {
    seen: ["posted", "relayed"].flatMap((path) => [
      `${path}: worker interrupt 65`,
      `${path}: page interrupt 65`,
      `${path}: armed 65`,
    ]),
    fastPath,
    findings: [],
  },
  waits: {
    seen: {
      read: 3,
      readAsync: 4,
      epoll: [7],
      epollAsync: [7],
      block: "interrupt",
      blockAsync: "interrupt",
    },
    findings: [],
  },
  death: {
    path: "posted",
    refused: "EBUSY",
    reason: "thread-died",
    vector: 65,
    threads: ["page", "relay"],
    findings: [],
  },
  blocked: { has: ["vCPU 0 of VM 0"], waitsFor: "vCPU 0 of VM 0", findings: [] },
  two: { seen: Array(2).fill("interrupt 65 timeout"), findings: [] },
});

describe("a product", { skip: await whyNotInstalled() }, async () => {
  let installed;
  const made = new Map();
  before(async () => {
    installed = await Installed.make(["irqbypass"]);
    for (const program of ["product.mjs", "product-worker.mjs"])
      installed.write(program, readFileSync(join(PROGRAMS, program), "utf8"));
  });
  after(() => installed?.remove());

  async function folderOf(how) {
    if (!made.has(how)) made.set(how, await makeProduct(how, installed));
    return made.get(how);
  }

  await inBrowser(({ open, openAt, name }) => {
    for (const how of PRODUCTS) {
      for (const [fastPath, policy] of Object.entries({ wasm: COMPILES, typescript: POLICY })) {
        it(`${how}, ${fastPath}: every path, every wait, deaths, two hosts, and not a word in the console`, async () => {
          const page = await open(await folderOf(how), {
            headers: { "Content-Security-Policy": policy },
          });
          assert.deepEqual(await page.program(PARTS), answers(fastPath));
          const errors = page.errors.filter((error) => fastPath === "wasm" || !OF_ITSELF[name]?.test(error));
          assert.deepEqual([errors, page.console], [[], []]);
          await page.close();
        });
      }
    }

    it("proves the end of a worker that blocked at once, or says that nothing does", async (t) => {
      const page = await open(await folderOf("vite"));
      const { atOnce } = await page.program(["atOnce"]);
      assert.match(atOnce.proof, /^(lock|none)$/);
      t.diagnostic(`proof: ${atOnce.proof}`);
      assert.deepEqual([atOnce.before, atOnce.findings], ["EBUSY", []]);
      await page.close();
    });

    /** What the console's reader is told where something is missing. */
    async function sabotaged(folder, options) {
      const page = await open(folder, options);
      const { relay } = await page.program(["relay"]);
      assert.equal(relay, "relay-not-running");
      const told = page.errors.join("\n");
      await page.close();
      return told;
    }

    const REMEDY =
      /EIO: the worker of irqbypass\/relay-worker did not start from http:\S+\/relay-worker-\S+\.js: that file must be there .*Cross-Origin-Embedder-Policy: require-corp.*worker-src.*Host\.create\({ spawn }\)/;

    it("whose relay's file is missing says where it should be", async () => {
      const folder = await folderOf("vite");
      const sick = join(installed.folder, "sick");
      cpSync(folder, sick, { recursive: true });
      const relay = readdirSync(join(sick, "assets")).find((file) => file.startsWith("relay-worker"));
      rmSync(join(sick, "assets", relay));
      assert.match(await sabotaged(sick), REMEDY);
    });

    it("whose policy forbids workers says which part of it", async () => {
      const headers = {
        "Content-Security-Policy": COMPILES.replace("worker-src 'self'", "worker-src 'none'"),
      };
      assert.match(await sabotaged(await folderOf("vite"), { headers }), REMEDY);
    });

    it("whose relay's file comes without the header says which", async () => {
      assert.match(await sabotaged(await folderOf("vite"), { bare: /relay-worker/ }), REMEDY);
    });

    it("does the same on Vite's development server, which must not optimize the package", async () => {
      const server = await startDevelopment(installed);
      try {
        const page = await openAt(server.url);
        const { paths } = await page.program(["paths"]);
        assert.deepEqual(paths, answers("wasm").paths);
        assert.deepEqual(page.errors, []); // its own client writes into the console
        await page.close();
      } finally {
        await server.close();
      }
    });

    it("that is served without the headers names them", async () => {
      const page = await open(await folderOf("vite"), { isolated: false });
      await assert.rejects(
        page.program(["two"]),
        /EOPNOTSUPP: this page has no shared memory: serve it with the headers Cross-Origin-Opener-Policy: same-origin and Cross-Origin-Embedder-Policy: require-corp/,
      );
      await page.close();
    });
  });
});
