// The example of v86: a machine of the package as it is published takes each interrupt of its devices, in Node and in a page.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { after, before, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { Host, Vcpu, Vm } from "irqbypass";
import { createMachine } from "../../packages/irqbypass/examples/v86/adapter.mjs";
import { optionsFor, run } from "../../packages/irqbypass/examples/v86/machine.mjs";
import { Browser } from "../browser.mjs";
import { startExample } from "../v86/worker.mjs";
import { browserTests, whyNotInstalled } from "../workspace.mjs";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const VERSIONS = ["v86-0.5.319", "v86-0.5.424", "v86"];
const INTERRUPTS = 200;
/** As much of a vCPU as is asked before the guest starts. */
const BARE = { toJSON: () => ({ apic: false }) };
const each = { 65: INTERRUPTS / 2, 46: INTERRUPTS / 2 };

async function v86Of(name) {
  const build = import.meta.resolve(name);
  const { V86 } = await import(build);
  return { V86, wasm: readFileSync(new URL("v86.wasm", build)) };
}

describe("a v86 machine in Node", { skip: await whyNotInstalled() }, () => {
  for (const name of VERSIONS)
    for (const busy of [true, false])
      it(`${name}, ${busy ? "busy" : "idle"}: takes each interrupt, by its APIC and by a line`, async () => {
        const { V86, wasm } = await v86Of(name);
        const result = await run({
          V86,
          wasm,
          library: "irqbypass",
          start: startExample,
          busy,
          interrupts: INTERRUPTS,
        });
        assert.deepEqual(result.taken, each);
      });

  /** What `ends.mjs` prints, which ends by itself. */
  function ends(...args) {
    const program = fileURLToPath(new URL("../v86/ends.mjs", import.meta.url));
    const ended = spawnSync(process.execPath, [program, ...args], { encoding: "utf8", timeout: 60_000 });
    assert.deepEqual([ended.status, ended.signal, ended.stderr], [0, null, ""]);
    return JSON.parse(ended.stdout);
  }

  for (const name of VERSIONS)
    for (const guest of ["busy", "idle"])
      it(`${name}, ${guest}: keeps its process alive for as long as it runs, and is woken at once meanwhile`, () => {
        const { taken, medianUs, armed } = ends(name, "device", guest);
        assert.deepEqual([taken, armed], [20, false]);
        assert.ok(medianUs < 50_000, `${medianUs} us; v86 by itself looks again after 100 ms`);
        for (const how of ["stopped", "put"]) assert.deepEqual(ends(name, how, guest), { armed: false });
        assert.equal(ends(name, "again", guest).taken, 20);
      });

  it("is refused before it starts where its vCPU is of a VM with local APICs, or not open in this thread", async () => {
    const { V86, wasm } = await v86Of("v86");
    const host = Host.create();
    const [withApic, bare] = [true, false].map((apic) => new Vm(host, { vcpus: 1, apic }));
    const vcpu = Vcpu.open(host, withApic.vcpu(0).handle);
    const put = Vcpu.open(host, bare.vcpu(0).handle);
    put.put();
    for (const wrong of [vcpu, put, bare.vcpu(0), undefined])
      await assert.rejects(
        createMachine({ V86, wasm, vcpu: wrong }),
        /pass a vCPU as Vcpu\.open gives it, of a VM made with apic: false/,
      );
    vcpu.put();
    for (const vm of [withApic, bare]) vm.dispose();
    host.dispose();
  });

  it("goes idle again after a kick", async () => {
    const { V86, wasm } = await v86Of("v86");
    const host = Host.create();
    const vm = new Vm(host, { vcpus: 1, apic: false });
    const vcpu = Vcpu.open(host, vm.vcpu(0).handle);
    let idle = 0;
    const watched = {
      toJSON: () => vcpu.toJSON(),
      pending: () => vcpu.pending(),
      wait: (options) => vcpu.wait(options),
      disarm: () => vcpu.disarm(),
      arm(callback, options) {
        const armed = vcpu.arm(callback, options);
        if (armed) idle++;
        return armed;
      },
    };
    const machine = await createMachine({ V86, wasm, vcpu: watched, options: optionsFor({ busy: false }) });
    await machine.run();
    const idleMoreThan = async (before) => {
      while (idle <= before) await new Promise((resolve) => setTimeout(resolve, 1));
    };
    await idleMoreThan(0);
    vm.vcpu(0).kick();
    await idleMoreThan(idle + 1); // the first may be from before the kick
    await machine.destroy();
    vcpu.put();
    vm.dispose();
    host.dispose();
  });

  /** The same code under other names: a v86 that nobody has published yet. */
  function renamed(wasm, ...pairs) {
    let text = wasm.toString("latin1");
    for (const [from, to] of pairs)
      text = text.replace(`${String.fromCharCode(from.length)}${from}`, (found) => found[0] + to);
    return Buffer.from(text, "latin1");
  }

  it("is refused before it starts where an IPI to itself sets no bit, or another", async () => {
    const { V86, wasm } = await v86Of("v86");
    const swapped = renamed(wasm, ["write32", "write--"], ["write16", "write32"], ["write--", "write16"]);
    await assert.rejects(
      createMachine({ V86, wasm: swapped, vcpu: BARE }),
      /did not set its bit in this v86's IRR alone/,
    );
  });

  it("is refused before it starts where v86 has other names, and those are named", async () => {
    const { V86, wasm } = await v86Of("v86");
    const other = renamed(wasm, ["main_loop", "main_lo0p"], ["device_raise_irq", "device_raise_ir0"]);
    await assert.rejects(
      createMachine({ V86, wasm: other, vcpu: BARE }),
      /no main_loop, device_raise_irq among its exports/,
    );
  });

  it("takes no option that belongs to the adapter", async () => {
    const { V86, wasm } = await v86Of("v86");
    for (const options of [{ autostart: true }, { wasm_fn: () => {} }, { acpi: false }])
      await assert.rejects(createMachine({ V86, wasm, options }), new RegExp(Object.keys(options)[0]));
  });
});

describe("a v86 machine in a page", await browserTests(), () => {
  let browser;
  before(async () => {
    browser = await Browser.start();
  });
  after(() => browser?.close());

  for (const busy of [true, false])
    it(`${busy ? "busy" : "idle"}: takes each interrupt on the main thread`, async () => {
      const page = await browser.open(ROOT);
      const result = await page.run("heavy/v86/page.mjs", {
        v86: "/heavy/node_modules/v86/build",
        library: "/packages/irqbypass/build/src/index.js",
        busy,
        interrupts: INTERRUPTS,
      });
      assert.deepEqual([result.taken, page.errors], [each, []]);
      await page.close();
    });
});
