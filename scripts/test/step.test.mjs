// Packages that are out of step are refused by a sentence that names both versions.
import assert from "node:assert/strict";
import { test } from "node:test";
import { PACKAGES, readPackage } from "../pack/packages.mjs";
import { outOfStep } from "../pack/step.mjs";

const fabric = { name: "irqbypass", version: "0.3.0" };

test("packages of one version, that ask for that of each other, are in step", () => {
  for (const range of ["0.3.0", "^0.3.0"])
    for (const kind of ["dependencies", "peerDependencies", "devDependencies"])
      assert.deepEqual(
        outOfStep([
          fabric,
          { name: "panel", version: "0.3.0", [kind]: { irqbypass: range, other: "^1.0.0" } },
        ]),
        [],
      );
});

test("a range that does not fit, and a version that differs, are said with both versions", () => {
  assert.deepEqual(
    outOfStep([fabric, { name: "panel", version: "0.3.0", peerDependencies: { irqbypass: "^0.2.0" } }]),
    ["panel 0.3.0 asks for irqbypass ^0.2.0, and irqbypass is 0.3.0: ask for that one"],
  );
  assert.deepEqual(outOfStep([fabric, { name: "panel", version: "0.2.0" }]), [
    "panel is 0.2.0 and irqbypass is 0.3.0: the packages are released in step",
  ]);
});

test("those of this repository are in step, and none imports another once published", () => {
  const manifests = PACKAGES.map((name) => readPackage(name).manifest);
  assert.deepEqual(outOfStep(manifests), []);
  for (const { dependencies, peerDependencies, optionalDependencies } of manifests)
    for (const name of Object.keys({ ...dependencies, ...peerDependencies, ...optionalDependencies }))
      assert.ok(!PACKAGES.includes(name), name);
});
