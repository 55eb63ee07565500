// The check of the reference: what says nothing of itself is found, down to the keys of parameter objects, and a link to nothing too.
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { entryPoints, readReference, undocumented } from "../docs/reference.mjs";
import { ROOT } from "../pack/packages.mjs";

describe("the reference", () => {
  let folder;
  before(() => {
    mkdirSync(join(ROOT, "build"), { recursive: true });
    folder = mkdtempSync(join(ROOT, "build/docs-")); // beside the compiler's own library, as the packages are
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  async function read(text) {
    const file = join(folder, "one.ts");
    const compilerOptions = { target: "es2023", module: "nodenext", strict: true, types: [] };
    writeFileSync(join(folder, "tsconfig.json"), JSON.stringify({ compilerOptions, files: ["one.ts"] }));
    writeFileSync(file, `/**\n * A module.\n * @packageDocumentation\n */\n${text}`);
    return readReference(
      new Map(
        [
          [file, "one"],
          [join(folder, "two.ts"), "two"],
        ].slice(0, 1),
      ),
      {
        tsconfig: join(folder, "tsconfig.json"),
        logLevel: "None",
      },
    );
  }

  it("has the packages by the names that programs import", () => {
    assert.deepEqual([...entryPoints().values()].sort(), [
      "atomics-explorer",
      "irqbypass",
      "irqbypass-doctor",
      "irqbypass/kvm",
      "irqbypass/linux",
      "irqbypass/slim",
    ]);
  });

  it("finds what has no text: items, members, constructors and the keys of parameter objects", async () => {
    const { project } = await read(`
export interface Bare {
  /** A key. */
  readonly said: number;
  readonly unsaid: number;
}
/** A class. */
export class Thing {
  constructor(readonly size: number) {}
  move(by: { x: number }): void {}
  /** @internal */ hidden(): void {}
  private own(): void {}
}
/** An enum. */
export enum Op { load = 0 }
/** A function. */
export function make(options: {
  /** A key with a text. */
  name: string;
  rest?: () => void;
}): void {}
`);
    assert.deepEqual(
      undocumented(project).map((name) => name.replace(/^.*?one\.|^one\./, "")),
      [
        "Bare",
        "Bare.unsaid",
        "Op.load",
        "Thing.constructor",
        "Thing.move",
        "Thing.move.move.by.x",
        "Thing.size",
        "make.make.options.rest",
      ],
    );
  });

  it("warns of a link that leads nowhere", async () => {
    const { app } = await read("/** As {@link Nothing}. */\nexport const one = 1;\n");
    assert.ok(app.logger.hasWarnings());
  });

  it("says nothing of what has its text", async () => {
    const { app, project } = await read("/** As it is. */\nexport const one = 1;\n");
    assert.ok(!app.logger.hasWarnings());
    assert.deepEqual(undocumented(project), []);
  });
});
