// Every factory has an example in its doc comment, and every example compiles in strict TypeScript and runs, against the installed
// tarballs.
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import ts from "typescript";
import { readFactories } from "../pack/examples.mjs";
import { PACKAGES, ROOT, readPackage } from "../pack/packages.mjs";
import { Installed, run } from "../pack/tarball.mjs";

const factories = PACKAGES.flatMap((name) => readFactories(readPackage(name)));
const TSC = join(ROOT, "node_modules/typescript/bin/tsc");
const koffi = existsSync(join(ROOT, "node_modules/koffi"));
const needs = (code) => (/irqbypass\/(linux|kvm)"/.test(code) && !koffi ? "needs koffi" : false);

describe("factories", () => {
  let installed;
  const programs = factories.flatMap(({ name, examples }) =>
    examples.map((code, i) => ({ name, code, file: `${name.replace(/\W+/g, "-")}-${i}.ts` })),
  );
  before(async () => {
    installed = await Installed.make(PACKAGES);
    if (koffi) installed.link("koffi");
    for (const { file, code } of programs) installed.write(file, `${code}\nexport {};\n`);
    installed.writeProject(programs.map(({ file }) => file));
  });
  after(() => installed?.remove());

  it("are found, and each has an example", () => {
    const names = factories.map(({ name }) => name);
    for (const name of [
      "Host.create",
      "Host.attach",
      "new Vm",
      "Vcpu.open",
      "Eventfd.create",
      "new KvmVm",
      "linux",
      "new Explorer",
      "inspectHost",
    ])
      assert.ok(names.includes(name), `${name} is not among ${names.join(", ")}`);
    assert.deepEqual(
      factories.filter(({ examples }) => examples.length === 0).map(({ name, file }) => `${file}: ${name}`),
      [],
    );
  });

  it("their examples compile", () => {
    run(process.execPath, [TSC, "-p", "."], installed.folder);
  });

  for (const { name, code, file } of programs) {
    it(`the example of ${name} runs`, { skip: needs(code) }, (t) => {
      const compilerOptions = { target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.ESNext };
      const { outputText } = ts.transpileModule(code, { compilerOptions });
      const program = file.replace(/ts$/, "mjs");
      installed.write(program, outputText);
      const expected = [...code.matchAll(/console\.log\(.*\); \/\/ ([^:\n]*)/g)].map(([, said]) =>
        said.replaceAll('"', ""),
      );
      try {
        const printed = installed.node(program).trimEnd().split("\n");
        if (expected.length > 0) assert.deepEqual(printed, expected);
      } catch (error) {
        // A machine without KVM refuses with a code; nothing else is let through.
        if (!/irqbypass\/kvm"/.test(code) || existsSync("/dev/kvm")) throw error;
        assert.match(error.message, /IrqBypassError: E(NOENT|ACCES|NOSYS|OPNOTSUPP)/);
        t.diagnostic("no KVM here");
      }
    });
  }
});
