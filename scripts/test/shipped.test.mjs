// What is shipped is what was tested: the integration tests, those that import only what is public, run in the installed
// package on its bundled modules; and so do the examples, the command, and `npm start`. What ends in `.shipped` runs here alone: it
// is about what the workshop's many files are not.
import assert from "node:assert/strict";
import { cpSync, existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { after, before, describe, it } from "node:test";
import { ROOT } from "../pack/packages.mjs";
import { Installed, run } from "../pack/tarball.mjs";

const TESTS = join(ROOT, "packages/irqbypass/build/test");
const PUBLIC = /^(node:.*|irqbypass|irqbypass\/(kvm|linux))$/;

/** The tests that see nothing but what is public, as they were built. */
const tests = readdirSync(TESTS, { recursive: true })
  .filter((file) => /\.(test|shipped)\.js$/.test(file) && !file.startsWith("package/"))
  .filter((file) => isPublic(join(TESTS, file)))
  .sort();

describe("irqbypass, shipped", () => {
  let installed;
  before(async () => {
    installed = await Installed.make(["irqbypass"]);
    if (existsSync(join(ROOT, "node_modules/koffi"))) installed.link("koffi");
    // In their place beside the package's documents and examples, where "irqbypass" is the package itself.
    const isBuilt = (path) => !/\.[^/]*$/.test(path.slice(TESTS.length)) || path.endsWith(".js");
    cpSync(TESTS, installed.path("irqbypass", "build/test"), { recursive: true, filter: isBuilt });
    installed.write("node_modules/irqbypass/build/src/cli/main.js", 'import "../../../dist/cli.js";\n');
  });
  after(() => installed?.remove());

  it("there are tests of devices, eventfds, VMs, the examples and the command among them", () => {
    for (const part of [
      "device/threads",
      "eventfd/eventfd",
      "vm/routing",
      "examples/examples",
      "cli/program",
      "relay/shortage",
    ])
      assert.ok(
        tests.some((file) => file.startsWith(`${part}.`)),
        `${part} is not among ${tests.join(", ")}`,
      );
  });

  for (const file of tests) {
    it(file.replace(/\.js$/, ""), () => {
      run(process.execPath, ["--test", join("build/test", file)], installed.path("irqbypass"));
    });
  }

  it("npm start: every interrupt of the default workload arrives, on every path that this machine has", () => {
    const args = ["dist/cli.js", "run", "--seconds", "1", "--json"];
    const { totals, interrupts } = JSON.parse(run(process.execPath, args, installed.path("irqbypass")));
    assert.equal(totals.lost, 0);
    const paths = new Set(interrupts.map(({ path }) => path));
    assert.ok(paths.has("posted") && paths.has("relayed"), [...paths].join(", "));
    assert.equal(paths.has("injected"), paths.has("irqfd"));
  });
});

/** Does this module, and what it imports, import nothing but what the package exports? */
function isPublic(module, seen = new Set()) {
  if (seen.has(module)) return true;
  seen.add(module);
  const text = readFileSync(module, "utf8");
  const named = [
    ...text.matchAll(/^(?:import|export)\b[^;"()]* from "([^"]+)"/gm),
    ...text.matchAll(/^import "([^"]+)"/gm),
    ...text.matchAll(/\bimport\("([^"]+)"\)/g),
    ...text.matchAll(/new URL\("([^"]+\.js)", import\.meta\.url\)/g),
  ].map(([, specifier]) => specifier);
  return named.every((specifier) => {
    if (!specifier.startsWith(".")) return PUBLIC.test(specifier);
    const target = join(dirname(module), specifier);
    return target.startsWith(TESTS) && existsSync(target) && isPublic(target, seen);
  });
}
