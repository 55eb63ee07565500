// Makes what is published of a package, in its build/pack/, and prints that folder. Without names, of all packages.
//   node scripts/pack/main.mjs irqbypass
//   node scripts/pack/main.mjs irqbypass --to FOLDER    in a folder of its own there, as tests do that run beside others
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { PACKAGES, readPackage } from "./packages.mjs";
import { stage, stagingOf } from "./stage.mjs";
import { outOfStep } from "./step.mjs";

const { values: options, positionals: wanted } = parseArgs({
  allowPositionals: true,
  options: { to: { type: "string" } },
});
const unknown = wanted.filter((name) => !PACKAGES.includes(name));
if (unknown.length > 0) {
  console.error(`pack: there is no package ${unknown.join(", ")}; allowed: ${PACKAGES.join(", ")}`);
  process.exit(2);
}
const faults = outOfStep(PACKAGES.map((name) => readPackage(name).manifest));
if (faults.length > 0) {
  for (const fault of faults) console.error(`pack: ${fault}`);
  process.exit(1);
}
for (const name of wanted.length > 0 ? wanted : PACKAGES) {
  const staging = options.to === undefined ? stagingOf(name) : join(resolve(options.to), name);
  await stage(name, staging);
  console.log(staging);
}
