/** The numbered examples run and print what they say; the README shows the first of them to the letter. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { Eventfd, Host, Vm } from "irqbypass";
import type { JsonResult } from "#src/cli/result.js";
import type { JsonStorm } from "#src/cli/storm/result.js";

const root = fileURLToPath(new URL("../../../", import.meta.url));
const read = (path: string) => readFileSync(`${root}${path}`, "utf8");

/** The object that a workload prints with --json; a run has other fields than a storm. */
function runJson(example: string, ...options: string[]): JsonResult & JsonStorm {
  const args = ["build/src/cli/main.js", "run", `examples/${example}`, ...options, "--json"];
  const { status, stdout } = spawnSync(process.execPath, args, {
    cwd: root,
    encoding: "utf8",
    timeout: 60_000,
  });
  assert.equal(status, 0, stdout);
  return JSON.parse(stdout) as JsonResult & JsonStorm;
}

/** What each example prints, as patterns of its lines. */
const OUTPUT: Readonly<Record<string, readonly RegExp[]>> = {
  "01-first-interrupt.mjs": [/^posted interrupt 65$/],
  "02-three-threads.mjs": [/^posted as soon as the device is there$/, /^1000 interrupts handled$/],
  "03-own-interrupt-controller.mjs": [
    /^ON is at byte \d+, pending: true$/,
    /^vectors 0x20 to 0x3f: 0{14}110{16}$/,
  ],
  "04-kvm-guest.mjs": [
    /^(irqfd: through the eventfd, inside KVM \(no-producer\)|no KVM guest here: E[A-Z]+: .+)$/,
    /^injected: by one KVM_SIGNAL_MSI of this thread$/,
    /^the guest has handled 2 interrupts$/,
  ],
  "05-a-device-that-dies.mjs": [
    /^posted from the device's thread$/,
    /^relayed, thread-died$/,
    /^posted again, vector 65$/,
    /^0 records out of place$/,
  ],
  "06-many-queues.mjs": [/^640 kicks served, of 64 queues$/, /^told to stop, with 0 records out of place$/],
  "07-an-emulators-loop.mjs": [
    /^the guest has had 1000 interrupts$/,
    /^stopped, with 0 records out of place$/,
  ],
};

describe("the examples", () => {
  const files = readdirSync(`${root}examples`).filter((name) => name.endsWith(".mjs"));

  it("are all listed here and in their README", () => {
    assert.deepEqual(files.sort(), Object.keys(OUTPUT).sort());
    const workloads = readdirSync(`${root}examples`).filter((name) => name.endsWith(".json"));
    for (const file of [...files, ...workloads])
      assert.match(read("examples/README.md"), new RegExp(`\`${file}\``));
  });

  for (const file of files) {
    it(`${file} prints what it says`, () => {
      const { status, stdout, stderr } = spawnSync(process.execPath, [`examples/${file}`], {
        cwd: root,
        encoding: "utf8",
        timeout: 60_000,
      });
      assert.equal(stderr, "");
      assert.equal(status, 0);
      const lines = stdout.trimEnd().split("\n");
      const expected = OUTPUT[file] ?? [];
      const shown = lines[0]?.startsWith("no KVM") ? expected.slice(0, 1) : expected;
      assert.equal(lines.length, shown.length, stdout);
      for (const [index, pattern] of shown.entries()) assert.match(lines[index] ?? "", pattern);
    });
  }

  it("and each block of JavaScript in a page is one for the oldest Node, and loads there", () => {
    const pages = readdirSync(`${root}docs`).filter((name) => name.endsWith(".md"));
    const folder = mkdtempSync(join(tmpdir(), "irqbypass-"));
    let blocks = 0;
    for (const page of ["README.md", "examples/README.md", ...pages.map((name) => `docs/${name}`)])
      for (const [, code = ""] of read(page).matchAll(/```(?:js|javascript|mjs)\n([\s\S]*?)```/g)) {
        const what = `${page}, the block that begins ${code.split("\n")[0]}`;
        // Node 24 is the first to know it; TypeScript takes it away, and its blocks have it.
        assert.doesNotMatch(code, /(^|[\s;({])using\s+\w+\s*(=|of\b)/, what);
        const file = join(folder, `${blocks++}.mjs`);
        writeFileSync(file, code);
        const { status, stderr } = spawnSync(process.execPath, ["--check", file], { encoding: "utf8" });
        assert.equal(status, 0, `${what}\n${stderr}`);
      }
    rmSync(folder, { recursive: true });
    assert.ok(blocks >= 10, `${blocks} blocks`);
  });

  it("the first one is the README's", () => {
    const [, block] = /```js\n([\s\S]*?)```/.exec(read("README.md")) ?? [];
    const code = read("examples/01-first-interrupt.mjs").split("\n").slice(1).join("\n");
    assert.equal(block, code);
  });

  it("the emulator's loop is that of its page", () => {
    const [, block] = /```js\n([\s\S]*?)```/.exec(read("docs/emulators.md")) ?? [];
    assert.equal(block, read("examples/07-an-emulators-loop.mjs"));
  });

  it("a line of an interrupt controller of one's own is driven as that page shows it", () => {
    const blocks = [...read("docs/emulators.md").matchAll(/```js\n([\s\S]*?)```/g)].map(([, code]) => code);
    const host = Host.create();
    const vm = new Vm(host, { apic: false });
    const [trigger, resample] = [Eventfd.create(host), Eventfd.create(host)];
    const inputs: unknown[] = [];
    const controller = { setInput: (...args: unknown[]) => inputs.push(...args) };
    const names = ["vm", "trigger", "gsi", "resample", "controller", "n"];
    new Function(...names, blocks[1] ?? "throw new Error('there is none')")(
      vm,
      trigger,
      5,
      resample,
      controller,
      3,
    );
    assert.deepEqual(inputs, [3, false]);
    assert.equal(resample.tryRead(), 1n);
    vm.dispose();
    host.dispose();
  });

  it("live-reroute.json loses nothing, on lines and on messages that move", () => {
    const { interrupts, totals } = runJson("live-reroute.json", "--seconds", "1");
    assert.equal(totals.lost, 0);
    assert.ok(totals.reroutes > 0);
    for (const { path, gsi, delivered } of interrupts) {
      assert.equal(path, gsi < 24 ? "relayed" : "posted");
      assert.ok(delivered > 0);
    }
  });

  it("nic-64-queues.json loses nothing while its queues move around four vCPUs", () => {
    const { interrupts, totals } = runJson("nic-64-queues.json", "--seconds", "1");
    assert.equal(interrupts.length, 64);
    assert.equal(totals.lost, 0);
    assert.ok(totals.reroutes > 0);
    assert.equal(interrupts.filter(({ path }) => path === "relayed").length, 4);
    for (const { delivered } of interrupts) assert.ok(delivered > 0);
  });

  it("creation-storm.json creates what it says and gives all of it back", () => {
    const { storm, phases } = runJson("creation-storm.json");
    const vms = (phase: string) =>
      phases.filter((one) => one.phase === phase).reduce((sum, one) => sum + one.vms, 0);
    assert.deepEqual([storm.standing, storm.irqfds, storm.vms], [800, 15, 20]);
    assert.deepEqual([vms("standing"), vms("clearing")], [800, 800]);
    assert.equal(vms("round"), 2 * 20 * storm.rounds);
    assert.equal(phases.filter((one) => one.beside_irqfds === 12_000).length, storm.rounds + 1);
  });
});
