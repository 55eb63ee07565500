// The tarballs as strict TypeScript sees them, of both major versions, and as @arethetypeswrong/cli does.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { PACKAGES } from "../../scripts/pack/packages.mjs";
import { Installed, run } from "../../scripts/pack/tarball.mjs";
import { whyNotInstalled } from "../workspace.mjs";

const HEAVY = fileURLToPath(new URL("../node_modules/", import.meta.url));
const COMPILERS = {
  "TypeScript 5.9": join(HEAVY, "typescript-5.9/bin/tsc"),
  "TypeScript 6.0": fileURLToPath(new URL("../../node_modules/typescript/bin/tsc", import.meta.url)),
};
const ATTW = join(HEAVY, "@arethetypeswrong/cli/dist/index.js");

/** The README's ten lines, typed. */
const readme = readFileSync(new URL("../../packages/irqbypass/README.md", import.meta.url), "utf8");
const [, program] = /```js\n([\s\S]*?)```/.exec(readme);

describe("the declarations", { skip: await whyNotInstalled() }, () => {
  let installed;
  before(async () => {
    installed = await Installed.make(PACKAGES);
    installed.write(
      "program.ts",
      `${program}\nexport const answer: number | undefined = vcpu.acknowledge();\n`,
    );
    installed.write(
      "all.ts",
      `import * as core from "irqbypass";
import * as kvm from "irqbypass/kvm";
import * as linux from "irqbypass/linux";
import "irqbypass/relay-worker";
import * as explorer from "atomics-explorer";
export const all: readonly object[] = [core, kvm, linux, explorer];
export const eventfd = (one: linux.LinuxEventfd): core.EventfdContext => one;
using host = core.Host.create({ kinds: [linux.linux(), kvm.kvm()] });
export const wait = async (vcpu: core.Vcpu): Promise<core.Wake> => vcpu.waitAsync({ timeoutMs: 1 });
// @ts-expect-error
core.Eventfd.open(host, new core.Vm(host).vcpu(0).handle);
`,
    );
    installed.writeProject(["program.ts", "all.ts"], {
      exactOptionalPropertyTypes: true,
      noUncheckedIndexedAccess: true,
      skipLibCheck: false,
    });
  });
  after(() => installed?.remove());

  for (const [name, compiler] of Object.entries(COMPILERS)) {
    it(`pass ${name}, strict, with lib: ["es2022"]`, () => {
      assert.match(
        run(process.execPath, [compiler, "--version"], installed.folder),
        new RegExp(name.slice(11)),
      );
      run(process.execPath, [compiler, "-p", "."], installed.folder);
    });
  }

  for (const name of PACKAGES) {
    it(`of ${name} are what @arethetypeswrong/cli asks for`, () => {
      const tarball = installed.tarballs.get(name).path;
      run(process.execPath, [ATTW, "--profile", "esm-only", "--format", "ascii", tarball], installed.folder);
    });
  }
});
