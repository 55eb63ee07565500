/** A few thousand cases of the fuzz; `npm run test:long` runs more than a million. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { kvmTests } from "../kvm/available.js";
import { linux } from "../linux/available.js";
import { fuzz, summary } from "./parts.js";
import { seedOf } from "./random.js";
import { UNCHECKED } from "./run.js";
import { readSurface } from "./surface.js";
import { EXPORTS } from "./world.js";

const seed = seedOf(process.env);

describe("the surface of the package", () => {
  const { entries, classes, reachable, constants } = readSurface();

  it("is all that is exported", () => {
    const called = new Set(entries.map(({ owner, member, how }) => (how === "function" ? member : owner)));
    const missing = Object.keys(EXPORTS).filter(
      (name) => !called.has(name) && !constants.includes(name) && !classes.includes(name),
    );
    assert.deepEqual(missing, []);
    assert.ok(entries.length > 250);
  });

  it("leads to no class that is not exported", () => {
    assert.deepEqual(reachable, []);
  });

  it("has each entry that is not fuzzed", () => {
    const names = new Set(entries.map(({ name }) => name));
    assert.deepEqual(
      UNCHECKED.filter((name) => !names.has(name)),
      [],
    );
  });
});

describe("every public entry ends in a result or a typed error, with a clean audit", () => {
  it("of the core", async (t) => {
    const calls = await fuzz("core", 4000, seed);
    t.diagnostic(summary(calls));
    const idle = Object.entries(calls).filter(([, { all }]) => all === 0);
    assert.deepEqual(idle, []);
  });

  it("of irqbypass/linux", linux, async (t) => t.diagnostic(summary(await fuzz("linux", 1500, seed))));

  it("of irqbypass/kvm", kvmTests, async (t) => t.diagnostic(summary(await fuzz("kvm", 500, seed))));

  it("of atomics-explorer", async (t) => t.diagnostic(summary(await fuzz("explore", 500, seed))));

  it("attaching to damaged memory", async (t) => {
    const calls = await fuzz("attach", 2000, seed);
    t.diagnostic(summary(calls));
    assert.deepEqual(Object.keys(calls).sort(), ["attach: clean", "attach: damaged", "attach: refused"]);
  });

  it("workload files", async (t) => t.diagnostic(summary(await fuzz("workload", 2000, seed))));
});
