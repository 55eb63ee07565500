/**
 * Every public call in every state in which it may be refused: it succeeds whole, or throws an IrqBypassError with the code that
 * stands for that state, and then no word of the memory has changed and no descriptor is left; and with the cause gone it succeeds.
 */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Host, Vm } from "irqbypass";
import { Vm as V } from "#src/host/layout.js";
import { type Entry, readSurface } from "../fuzz/surface.js";
import { holds, Matrix } from "./matrix.js";
import { EXCUSED } from "./words.js";

const { entries } = readSurface();

describe("the refusal matrix", { timeout: 600_000 }, () => {
  it("is of all entry points that the package exports", () => {
    const known = new Set(["core", "linux", "kvm", "explore"]);
    assert.deepEqual(
      entries.filter(({ from }) => !known.has(from)),
      [],
    );
  });

  it("excuses few words, each for a reason, and none of a record", () => {
    assert.ok(EXCUSED.length <= 10);
    for (const [word, why] of EXCUSED) assert.ok(word < 512 && why.length > 10);
  });

  it("holds for irqbypass", async (t) => t.diagnostic(await holds("core")));

  it("finds a dispose that has begun before it looks whether it may", async () => {
    const dispose = entries.filter(({ name }) => name === "Vm.prototype.dispose");
    const broken = new Matrix(dispose, "core", (_, receiver) => new Proxy(receiver, { get: spoil }));
    await broken.run();
    assert.ok(
      broken.faults.some((fault) => /in a callback: the words \d+ have changed/.test(fault)),
      broken.faults.join(),
    );
  });

  it("finds a public call that has no row", async () => {
    const entry: Entry = {
      ...entries[0]!,
      name: "Vm.prototype.added",
      owner: "Nobody",
      how: "method",
      member: "added",
      doc: "",
    };
    const matrix = new Matrix([entry], "core");
    await matrix.run();
    assert.deepEqual(matrix.faults, ["Vm.prototype.added: has no row in test/refusal/rows.ts"]);
  });
});

/** A VM as it was: it says that it is being disposed, and is refused by the mutex after that. */
function spoil(vm: object, key: string | symbol): unknown {
  const value: unknown = Reflect.get(vm, key, vm);
  if (key !== "dispose") return typeof value === "function" ? value.bind(vm) : value;
  return () => {
    const { host, life } = vm as unknown as {
      host: Host;
      life: { record: number };
    };
    host.words.set(life.record + V.dying, host.thread.record);
    (vm as Vm).dispose();
  };
}
