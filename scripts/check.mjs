// The project's own checks: lint and format, the import floors, what documents are generated from, the packages as others will
// see them.
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const checks = [
  ["lint and format", "node_modules/@biomejs/biome/bin/biome", ["check", "--error-on-warnings", "."]],
  ["import floors", "scripts/floors.mjs", []],
  ["rules and their tests", "scripts/semantics.mjs", []],
  ["figures", "scripts/figures.mjs", []],
  ["reasons", "scripts/reasons.mjs", []],
  ["layout", "scripts/layout.mjs", []],
  ["header for C", "scripts/header.mjs", []],
  ["what is public", "scripts/api.mjs", []],
  ["reference", "scripts/docs.mjs", ["--check"]],
  ["what is published", "scripts/pack/main.mjs", []],
  ...["irqbypass", "atomics-explorer", "irqbypass-doctor"].map((name) => [
    `package ${name}`,
    "node_modules/publint/src/cli.js",
    ["--strict", `packages/${name}/build/pack`],
  ]),
];
let failed = 0;
for (const [name, script, args] of checks) {
  const { status } = spawnSync(process.execPath, [script, ...args], { cwd: root, stdio: "inherit" });
  console.log(`${status === 0 ? "ok  " : "FAIL"} ${name}`);
  if (status !== 0) failed += 1;
}
process.exit(failed === 0 ? 0 : 1);
