/** What is said where something is refused or does not come: the sentence that whoever reads it at midnight needs. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { closeSync, cpSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { fileURLToPath, pathToFileURL } from "node:url";
import { Eventfd, Host, type IrqBypassError, Producer, REASONS, Vcpu, Vm, WORST_FIRST } from "irqbypass";
import { whyNoKvm } from "irqbypass/kvm";
import { EventfdFile, LinuxEventfd, linux, loadFfi } from "irqbypass/linux";
import { createMemory } from "#src/host/wasm.js";
import { linux as linuxTests } from "../linux/available.js";
import { SMALL, smallHost } from "../support/host.js";
import { takeDescriptors } from "./exhaust.js";
import { wordsOf } from "./words.js";

const ROUTE = [{ gsi: 24, msi: { vcpu: 0, vector: 0x41 } }];

describe("a wait for bypass that is over", () => {
  it("says all that is missing, the worst first, and what to do, and leaves no trace", async () => {
    const host = smallHost();
    const vm = new Vm(host);
    const irqfd = vm.irqfd(Eventfd.create(host), 24);
    await new Promise((resolve) => setImmediate(resolve)); // the relay is asked for, and started
    for (const round of [0, 1]) {
      const before = wordsOf(host);
      await assert.rejects(irqfd.bypassed({ timeoutMs: 1 }), {
        code: "ETIMEDOUT",
        reason: "no-route",
        subject: "GSI 24",
        message:
          /the irqfd of GSI 24 was not bypassed within 1 ms: no-route \(.*setGsiRouting\); no-producer \(.*register a producer\)$/,
      });
      assert.deepEqual(wordsOf(host).compare(before), [], `round ${round}`);
    }
    vm.setGsiRouting(ROUTE);
    await assert.rejects(irqfd.bypassed({ timeoutMs: 0 }), { reason: "no-producer" });
    const ended = new AbortController();
    const before = wordsOf(host);
    const waits = irqfd.bypassed({ signal: ended.signal });
    ended.abort(new Error("enough"));
    await assert.rejects(waits, /enough/);
    assert.deepEqual(wordsOf(host).compare(before), []);
  });

  it("leaves no record where it came to something", async () => {
    const host = smallHost();
    const vm = new Vm(host);
    vm.setGsiRouting(ROUTE);
    const eventfd = Eventfd.create(host);
    const irqfd = vm.irqfd(eventfd, 24);
    const { reference } = host.audit().live;
    const waits = irqfd.bypassed();
    const producer = Producer.create(host);
    producer.register(eventfd);
    assert.equal(await waits, "posted");
    assert.equal(host.audit().live.reference, reference);
    await assert.rejects(irqfd.relayed({ timeoutMs: 1 }), {
      code: "ETIMEDOUT",
      message: /the irqfd of GSI 24 stayed posted for 1 ms/,
    });
    assert.equal(host.audit().live.reference, reference);
  });
});

describe("the reasons", () => {
  it("have an order, in which the README lists them", () => {
    const readme = readFileSync(new URL("../../../README.md", import.meta.url), "utf8");
    const table = /<!-- reasons -->([\s\S]*)<!-- \/reasons -->/.exec(readme)?.[1] ?? "";
    assert.deepEqual(
      [...table.matchAll(/^\| `([a-z-]+)` \|/gm)].map(([, reason]) => reason),
      WORST_FIRST,
    );
    assert.match(readme, /WORST_FIRST/);
  });

  it("are all in it, once", () => {
    assert.deepEqual([...WORST_FIRST].sort(), REASONS.filter((reason) => reason !== "none").sort());
  });
});

describe("an object of another copy of the library", () => {
  it("is named so, with how to find the two", async () => {
    const copied = mkdtempSync(join(tmpdir(), "irqbypass-copy-"));
    cpSync(new URL("../../src", import.meta.url), copied, { recursive: true });
    writeFileSync(join(copied, "package.json"), '{ "type": "module" }');
    const copy = (await import(pathToFileURL(join(copied, "index.js")).href)) as typeof import("irqbypass");
    rmSync(copied, { recursive: true });
    const host = smallHost();
    const theirs = copy.Host.create({ capacity: SMALL });
    const eventfd = copy.Eventfd.create(theirs);
    for (const call of [
      () => Eventfd.create(theirs),
      () => new Vm(theirs),
      () => Producer.create(theirs),
      () => Vm.open(theirs, 1),
      () => Vcpu.open(theirs, 1),
      () => new Vm(host).irqfd(eventfd, 24),
      () => Producer.create(host).register(eventfd),
    ])
      assert.throws(call, {
        code: "EINVAL",
        message: /this (Host|Eventfd) is of another copy of irqbypass, .*loaded twice: npm ls irqbypass/,
      });
    for (const none of [{}, Object.create(null), 7, () => {}])
      assert.throws(() => Eventfd.create(none as Host), { code: "EINVAL", message: /is no host/ });
  });
});

describe("a place in a memory", () => {
  it("counts bytes: of one that was counted in words it says where the host is", () => {
    const host = Host.create({
      memory: createMemory(32),
      byteOffset: 4096,
      capacity: SMALL,
    });
    assert.throws(() => Host.attach({ ...host.handle, byteOffset: 64 }), {
      code: "EINVAL",
      message: /byteOffset 64 is not a host: pass the handle of one/,
    });
    for (const byteOffset of [4096 / 4, 4096 * 4])
      assert.throws(() => Host.attach({ ...host.handle, byteOffset }), {
        code: "EINVAL",
        message: /is not a host: byteOffset counts bytes, and there is one at 4096/,
      });
    assert.throws(() => Host.create({ capacity: SMALL, byteOffset: 16 }), {
      message: /counts bytes, and must be a multiple of 64/,
    });
  });
});

describe("a capacity", () => {
  it("is the one that was asked for, without the host's own records", () => {
    const host = smallHost({ capacity: { route: 50 } });
    const vm = new Vm(host);
    const routes = (count: number) =>
      Array.from({ length: count }, (_, i) => ({ gsi: 24 + i, msi: { vcpu: 0, vector: 0x41 } }));
    vm.setGsiRouting(routes(50));
    assert.throws(() => new Vm(host).setGsiRouting(routes(1)), {
      code: "ENOMEM",
      message: /capacity.route is 50, and all are in use/,
    });
    assert.throws(() => vm.setGsiRouting(routes(51)), { message: /capacity.route is 50, and/ });
  });
});

describe("an fd that is no eventfd's", linuxTests, () => {
  it("is called by the caller's number, and by what it is of", () => {
    const host = smallHost({ kinds: [linux()] });
    const fd = openSync("/dev/null", "r");
    const message = new RegExp(`fd ${fd} is not an eventfd but /dev/null: pass a descriptor made by eventfd`);
    const subject = `fd ${fd}`;
    assert.throws(() => LinuxEventfd.adopt(host, fd), { code: "EINVAL", subject, message });
    assert.throws(() => EventfdFile.dup(loadFfi(), fd), { code: "EINVAL", subject, message });
    closeSync(fd);
    assert.throws(() => LinuxEventfd.adopt(host, fd), { code: "EBADF" });
  });

  it("a host is not made where its thread's proof of life cannot be had", () => {
    const give = takeDescriptors(0);
    let error: unknown;
    try {
      smallHost();
    } catch (refusal) {
      error = refusal;
    } finally {
      give();
    }
    assert.equal((error as IrqBypassError).code, "EMFILE");
    assert.match((error as IrqBypassError).message, /no descriptor is left/);
    smallHost().dispose();
  });
});

describe("an MSI that is wrong", () => {
  const cases: readonly (readonly [object, RegExp])[] = [
    [
      { address: 0xfee00000, vector: 65 },
      /names a vcpu and a vector, or it is an address and data.*take msi.address or the others out/,
    ],
    [{ vcpu: 0, vector: 65, data: 3 }, /take msi.data or the others out/],
    [{ address: 0xfee00000 | 0, data: 65 }, /msi.address is -18874368.*0xfee00000 \(>>> 0\)/],
    [{ address: 0xfee00000 }, /msi.data is undefined.*as in \{ address: 0xfee00000, data: 0x41 \}/],
    [{ vcpu: 4, vector: 65 }, /vcpu is 4, and this VM has vCPU 0 alone/],
  ];
  for (const [msi, message] of cases) {
    it(`is ${JSON.stringify(msi)}`, () => {
      const vm = new Vm(smallHost());
      assert.throws(() => vm.setGsiRouting([{ gsi: 24, msi: msi as { vcpu: number; vector: number } }]), {
        code: "EINVAL",
        message,
      });
    });
  }
});

describe("a thread that attaches", () => {
  it("without the kinds it is told which, in order, and where they come from", linuxTests, () => {
    const { handle } = smallHost({ kinds: [linux()] });
    assert.throws(() => Host.attach(handle), {
      code: "EINVAL",
      message:
        /lacks: pass linux-eventfd to Host.attach.*its kinds being \[linux-eventfd\]; linux-eventfd is linux\(\) of irqbypass\/linux/,
    });
    const bare = smallHost();
    assert.throws(() => Host.attach(bare.handle, { kinds: [{ name: "k" }] }), {
      message: /pass none to Host.attach/,
    });
  });

  it("a second time is one more view of the host, with a handle of each object", () => {
    const host = smallHost();
    const second = Host.attach(host.handle);
    const vm = new Vm(host);
    vm.setGsiRouting(ROUTE);
    const eventfd = Eventfd.create(second);
    Vm.open(second, vm.handle).irqfd(eventfd, 24);
    const producer = Producer.create(host);
    producer.register(Eventfd.open(host, eventfd.handle));
    assert.equal(producer.path, "posted");
    producer.dispose();
    vm.dispose();
    eventfd.close();
    second.dispose();
    assert.deepEqual(host.audit().findings, []);
    host.dispose();
  });

  it("opens a vCPU twice, and is told that it is itself", () => {
    const host = smallHost();
    const second = Host.attach(host.handle);
    const { handle } = new Vm(host).vcpu(0);
    const vcpu = Vcpu.open(host, handle);
    for (const view of [host, second])
      assert.throws(() => Vcpu.open(view, handle), {
        code: "EBUSY",
        message: /vCPU 0 of VM 0 .*this (very )?thread/,
      });
    assert.throws(() => host.dispose(), { code: "EBUSY", message: /vCPU 0 of VM 0, VM 0/ });
    vcpu.put();
  });
});

describe("whyNoKvm", () => {
  it("answers where there is no Node.js", () => {
    const { process } = globalThis;
    try {
      Reflect.deleteProperty(globalThis, "process");
      const why = whyNoKvm();
      assert.equal(why?.code, "ENOSYS");
      assert.match(String(why?.message), /need Node.js on Linux.*software VMs work here/);
    } finally {
      globalThis.process = process;
    }
  });

  it("answers where koffi cannot be used", linuxTests, () => {
    const module = fileURLToPath(new URL("../../src/kvm/index.js", import.meta.url));
    const program = `import { whyNoKvm } from ${JSON.stringify(module)}; console.log(whyNoKvm().code);`;
    const { stdout, stderr } = spawnSync(
      process.execPath,
      ["--no-addons", "--input-type=module", "-e", program],
      { encoding: "utf8" },
    );
    assert.equal(stdout.trim(), "ENOSYS", stderr);
  });
});
