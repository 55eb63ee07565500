// The reports of what is public: what is in them, and that a changed surface is said with what to do about it.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { appendFileSync, cpSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { reportOf } from "../api/report.mjs";
import { withoutInternal } from "../pack/declarations.mjs";
import { PACKAGES, ROOT, readPackage } from "../pack/packages.mjs";
import { unexportedTypes } from "../pack/unexported.mjs";

const surfaceOf = (text, said = new Set()) =>
  reportOf(withoutInternal(text), said)
    .split("\n")
    .slice(1)
    .map((line) => line.trim())
    .join(" ");

describe("a report", () => {
  it("has no comment and nothing private, but says that there is no new", () => {
    const text = `/** What it is. */ declare class A {
      /** Its size. */ readonly size: number;
      private readonly hidden;
      private helper;
      #private;
      private static make;
      private constructor();
    }
    export { A };`;
    assert.equal(
      surfaceOf(text),
      "declare class A { readonly size: number; private constructor(); } export { A }; ",
    );
  });

  it("has nothing that is marked @internal", () => {
    const text = `interface A {
      readonly size: number;
      /** @internal */ readonly words: number;
    }
    /** @internal */ declare function take(a: A): void;
    export type { A };`;
    assert.equal(surfaceOf(text), "interface A { readonly size: number; } export type { A }; ");
  });

  it("does not say again what an earlier entry point said, unless it differs", () => {
    const said = new Set();
    surfaceOf("interface A { a: 1 } interface B { b: 1 } export type { A, B };", said);
    const text = "interface A { a: 1 } interface B { b: 2 } export type { A, B };";
    assert.equal(surfaceOf(text, said), "interface B { b: 2; } export type { A, B }; ");
  });
});

describe("what a declaration mentions", () => {
  it("is found where no entry point exports it", () => {
    const files = new Map([
      ["index.d.ts", 'import { B } from "./core.js"; interface A { b: B } export type { A };'],
      ["core.d.ts", "interface B { c: C } interface C {} export type { B as B };"],
    ]);
    assert.deepEqual(unexportedTypes(files, ["index"]), ["core.d.ts: B", "core.d.ts: C"]);
  });
});

describe("the reports of this repository", () => {
  it("there is one for each entry point", () => {
    for (const name of PACKAGES)
      for (const entry of Object.keys(readPackage(name).entries))
        assert.match(readFileSync(join(ROOT, "packages", name, "api", `${entry}.d.ts`), "utf8"), /^export /m);
  });

  it("a difference is said by its file, with what to run", () => {
    const reports = mkdtempSync(join(tmpdir(), "api-"));
    try {
      for (const name of PACKAGES)
        cpSync(join(ROOT, "packages", name, "api"), join(reports, name), { recursive: true });
      const look = () =>
        spawnSync(process.execPath, ["scripts/api.mjs", "--in", reports], { cwd: ROOT, encoding: "utf8" });
      const same = look();
      assert.equal(same.status, 0, same.stderr);
      appendFileSync(join(reports, "irqbypass/kvm.d.ts"), "export declare const more = 1;\n");
      cpSync(join(reports, "irqbypass/kvm.d.ts"), join(reports, "irqbypass/gone.d.ts"));
      const { status, stderr } = look();
      assert.equal(status, 1);
      assert.match(stderr, /kvm\.d\.ts is not what the sources say/);
      assert.match(stderr, /gone\.d\.ts is of no entry point/);
      assert.match(stderr, /npm run api writes them; review the difference/);
    } finally {
      rmSync(reports, { recursive: true, force: true });
    }
  });
});
