// irqbypass in an empty folder, from its tarball: JavaScript and strict TypeScript can use it, its entry points, and nothing else.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { publishedManifest, ROOT, readPackage } from "../pack/packages.mjs";
import { Installed, run } from "../pack/tarball.mjs";

const manifest = publishedManifest(readPackage("irqbypass"));
/** Where the workspace has its tools. */
const TOOLS = join(ROOT, "node_modules");
/** Import specifiers of everything that the package exports; what runs as a worker has a test of its own. */
const SPECIFIERS = Object.keys(manifest.exports)
  .filter((path) => !path.endsWith(".json") && !path.endsWith("-worker"))
  .map((path) => manifest.name + path.slice(1));

/** A program that carries an interrupt from a device into a vCPU; valid JavaScript and TypeScript. */
const PROGRAM = `
import { Eventfd, Host, IrqBypassError, Vcpu, VfioPciDevice, Vm } from "irqbypass";
const host = Host.create({ capacity: { eventfd: 16, producer: 16, consumer: 16, vm: 2, vcpu: 4, route: 16, routing: 2 } });
const vm = new Vm(host, { vcpus: 1 });
vm.setGsiRouting([{ gsi: 24, msi: { vcpu: 0, vector: 0x41 } }]);
const eventfd = Eventfd.create(host);
const irqfd = vm.irqfd(eventfd, 24, { bypass: "prefer" });
const nic = new VfioPciDevice(host, { msix: 1 });
nic.setTrigger("msix", 0, eventfd);
const vcpu = Vcpu.open(host, vm.vcpu(0).handle);
nic.vector("msix", 0).signal();
const wake = vcpu.wait({ timeoutMs: 1000 });
const vector = vcpu.acknowledge();
let code = "";
try {
  vm.irqfd(eventfd, 24);
} catch (error) {
  if (error instanceof IrqBypassError) code = error.code;
}
console.log(irqfd.path, wake, vector, code);
`;

describe("irqbypass, installed", () => {
  let installed;
  before(async () => {
    installed = await Installed.make(["irqbypass"]);
  });

  /** Runs a program in the folder and returns what it prints. */
  const program = (name, text) => {
    installed.write(name, text);
    return installed.node(name);
  };
  after(() => installed?.remove());

  it("keeps what it does not export to itself", () => {
    const printed = program(
      "inside.js",
      `console.log(await import("irqbypass/dist/index.js").then(() => "open", ({ code }) => code));`,
    );
    assert.equal(printed.trim(), "ERR_PACKAGE_PATH_NOT_EXPORTED");
  });

  it("says what to install where Linux eventfds need a missing optional dependency", () => {
    const printed = program(
      "linux.js",
      `import { loadFfi } from "irqbypass/linux";
       import { whyNoKvm } from "irqbypass/kvm";
       try { loadFfi(); } catch ({ code, message }) { console.log(code, message); }
       console.log(await whyNoKvm());`,
    );
    const [ffi, kvm] = printed.trim().split("\n");
    if (process.platform === "linux") {
      assert.match(ffi, /^ENOSYS .*koffi, which is not installed; run: npm install koffi/);
      assert.match(kvm, /koffi/);
    } else {
      assert.match(ffi, /^ENOSYS .*need Linux/);
    }
  });

  it("slim: has a Host and a Vm that those of irqbypass extend, and end what those have made", () => {
    const printed = program(
      "slim.js",
      `import * as whole from "irqbypass";
       import { Eventfd, Host, Vm } from "irqbypass/slim";
       const host = Host.create();
       const eventfd = Eventfd.create(host);
       const there = whole.Host.attach(host.handle);
       const vm = new Vm(host);
       const opened = whole.Vm.open(there, vm.handle);
       const doorbell = opened.ioeventfd({ address: 0x1000, length: 4 }, eventfd);
       console.log(opened.write("mmio", 0x1000, 4, 1), eventfd.tryRead());
       console.log(there instanceof Host, opened instanceof Vm, "audit" in host, "ioeventfd" in vm, eventfd instanceof whole.Eventfd);
       console.log(Vm.open(host, opened.handle).id === vm.id, there.audit().findings.length);
       vm.dispose();
       try { doorbell.address; } catch ({ code }) { console.log(code, there.audit().findings.length); }`,
    );
    assert.deepEqual(printed.trim().split("\n"), [
      "true 1n",
      "true true false false true",
      "true 0",
      "EBADF 0",
    ]);
  });

  it("slim: its classes are those that irqbypass extends, without what docs/web.md says", () => {
    const printed = program(
      "slim-classes.js",
      `import * as whole from "irqbypass";
       import * as slim from "irqbypass/slim";
       const less = Object.keys(whole).filter((name) => whole[name] !== slim[name]);
       const members = (one) => [...Object.getOwnPropertyNames(one), ...Object.getOwnPropertyNames(one.prototype)];
       for (const name of less) {
         const only = members(whole[name]).filter((member) => !(member in slim[name]) && !(member in slim[name].prototype));
         console.log(name, whole[name].prototype instanceof slim[name], only.sort().join(" "));
       }`,
    );
    const read = (file) => readFileSync(installed.path("irqbypass", file), "utf8");
    const rows = [...read("docs/web.md").matchAll(/^\| `(Host|Vm|Vcpu|VfioPciDevice)` \| (.*) \|$/gm)];
    const told = new Map(
      rows.map(([, name, text]) => [name, [...text.matchAll(/`(\w+)`/g)].map(([, member]) => member).sort()]),
    );
    const classOf = (name) => read("dist/core.d.ts").match(new RegExp(`declare class ${name} [^]*?\\n}`))[0];
    for (const line of printed.trim().split("\n")) {
      const [name, extended, ...only] = line.split(" ");
      assert.equal(extended, "true", name);
      assert.deepEqual(
        only.filter((member) => !classOf(name).includes(`private ${member};`)),
        told.get(name),
      );
      told.delete(name);
    }
    assert.deepEqual([...told.keys()], []);
  });

  it("slim: repairs after threads with what it loads late, and says so until that has come", () => {
    const printed = program(
      "slim-late.js",
      `import { Worker } from "node:worker_threads";
       import { Eventfd, Host, Vm } from "irqbypass/slim";
       const refusal = (call) => { try { return call(); } catch ({ code }) { return code; } };
       const host = Host.create();
       console.log(host.fastPath, refusal(() => host.threadLost(1)), refusal(() => Host.create({ fastPath: "wasm" })));
       console.log(await host.provable(), host.fastPath, refusal(() => host.threadLost(1)));
       const vm = new Vm(host);
       vm.setGsiRouting([{ gsi: 24, msi: { vcpu: 0, vector: 0x41 } }]);
       const eventfd = Eventfd.create(host);
       const irqfd = vm.irqfd(eventfd, 24);
       const worker = new Worker(
         \`import { parentPort, workerData } from "node:worker_threads";
          import { Eventfd, Host, VfioPciDevice } from "irqbypass/slim";
          const host = Host.attach(workerData.host);
          const nic = new VfioPciDevice(host, { msix: 1 });
          nic.setTrigger("msix", 0, Eventfd.open(host, workerData.eventfd));
          parentPort.postMessage("there");
          Eventfd.create(host).read();\`,
         { eval: true, workerData: { host: host.handle, eventfd: eventfd.handle } },
       );
       await new Promise((resolve) => worker.once("message", resolve));
       console.log(irqfd.path);
       await host.terminate(worker);
       console.log(await irqfd.relayed()); // not that the relay is still starting
       vm.dispose();
       host.dispose();`,
    );
    assert.deepEqual(printed.trim().split("\n"), [
      "typescript EAGAIN EOPNOTSUPP",
      `${process.platform === "linux"} wasm false`,
      "posted",
      "thread-died",
    ]);
  });

  it("has one class of a name, whichever entry point it came through", () => {
    const printed = program(
      "classes.js",
      `import { EventfdContext, Host, IrqBypassError, Vm } from "irqbypass";
       import * as linux from "irqbypass/linux";
       import * as kvm from "irqbypass/kvm";
       const caught = (call) => { try { call(); } catch (error) { return error instanceof IrqBypassError; } };
       console.log(
         linux.LinuxEventfd.prototype instanceof EventfdContext,
         caught(() => linux.loadFfi({ platform: "plan9", arch: "x64", require: () => {} })),
         caught(() => new kvm.KvmVm(Host.create())),
         caught(() => linux.LinuxEventfd.create(Host.create())),
         Host.create({ kinds: [linux.linux(), kvm.kvm()] }) instanceof Host,
       );`,
    );
    assert.equal(printed.trim(), "true true true true true");
  });

  it("carries an interrupt through the relay, whose worker is in the tarball", () => {
    const relayed = PROGRAM.replace(
      "const wake =",
      "host.bypass = false; nic.vector('msix', 0).signal();\nconst wake =",
    )
      .replace('nic.vector("msix", 0).signal();', "")
      .replace("vcpu.wait({ timeoutMs: 1000 })", "await vcpu.waitAsync({ timeoutMs: 60_000 })");
    assert.equal(program("relay.js", relayed).trim(), "relayed interrupt 65 EBUSY");
  });

  it("carries an interrupt in plain JavaScript", () => {
    assert.equal(program("program.js", PROGRAM).trim(), "posted interrupt 65 EBUSY");
  });

  for (const [name, options] of [
    ["with nothing but the language", { lib: ["es2022"], target: "es2022", types: [] }],
    ["for the browser", { lib: ["es2023", "dom"], types: [] }],
    [
      "for Node",
      {
        lib: ["es2023"],
        types: ["node"],
        typeRoots: [join(TOOLS, "@types")],
      },
    ],
  ]) {
    it(`passes strict TypeScript, nodenext, its declarations included, ${name}`, () => {
      installed.write(
        "program.ts",
        `${PROGRAM}\nconst typed: number | undefined = vector;\nexport { typed };\n`,
      );
      // What there is beside the language, of which this project names no types.
      installed.write("console.d.ts", "declare const console: { log(...values: unknown[]): void };\n");
      // Each of these lines must be an error: the types say what is allowed.
      installed.write(
        "wrong.ts",
        `import { Eventfd, EventfdContext, Host, type Irqfd, Vcpu, Vm } from "irqbypass";
import { type LinuxEventfd, linux } from "irqbypass/linux";
import { kvm, KvmVm } from "irqbypass/kvm";
using host = Host.create({ kinds: [linux(), kvm()] });
const vm = new Vm(host);
export const same: (eventfd: LinuxEventfd) => EventfdContext = (eventfd) => eventfd;
export const guest = (eventfd: LinuxEventfd): Irqfd => new KvmVm(host).irqfd(eventfd, 24);
Vcpu.open(host, vm.vcpu(0).handle);
// @ts-expect-error
Eventfd.open(host, vm.vcpu(0).handle);
// @ts-expect-error
Vcpu.open(host, vm.handle);
// @ts-expect-error
Vm.open(host, Eventfd.create(host).handle);
// @ts-expect-error
host.pools;
// @ts-expect-error
host.mutex;

// @ts-expect-error
vm.setGsiRouting([{ gsi: 24 }]);
// @ts-expect-error
new Vm(Host.create(), { cpus: 1 });
// @ts-expect-error
vm.irqfd(undefined, 24);
`,
      );
      installed.write(
        "all.ts",
        `${SPECIFIERS.map((specifier, i) => `import * as all${i} from "${specifier}";`).join("\n")}
export const everything: readonly object[] = [${SPECIFIERS.map((_, i) => `all${i}`).join(", ")}];
`,
      );
      installed.write(
        "tsconfig.json",
        JSON.stringify({
          compilerOptions: {
            strict: true,
            noEmit: true,
            target: "es2023",
            exactOptionalPropertyTypes: true,
            skipLibCheck: false,
            module: "nodenext",
            ...options,
          },
          files: [
            "program.ts",
            "wrong.ts",
            "all.ts",
            ...(options.lib.length + options.types.length === 1 ? ["console.d.ts"] : []),
          ],
        }),
      );
      run(process.execPath, [join(TOOLS, "typescript/bin/tsc"), "-p", "."], installed.folder);
    });
  }
});
