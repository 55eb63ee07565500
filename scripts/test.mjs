// Runs the compiled tests of every package: all of them, or those whose path contains one of the arguments, such as
// `host/mutex` or `irqbypass-doctor`. Names ending in .long.js run only with --long. Each package's tests run in its folder.
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { fileURLToPath } from "node:url";

// Against hangs only, for a file as for each of its tests: one that is slow is no failure.
const SHORT_MS = 600_000;
const LONG_MS = 3_600_000;
const FOLDERS = [
  ...["packages/atomics-explorer", "packages/irqbypass-doctor", "packages/irqbypass"].map((name) => [
    name,
    "build/test",
  ]),
  ["bench", "build/test"],
  ["scripts", "test"],
];

const root = fileURLToPath(new URL("..", import.meta.url));
const long = process.argv.includes("--long");
const wanted = process.argv.slice(2).filter((argument) => !argument.startsWith("--"));
let found = 0;
let failed = 0;
for (const [folder, tests] of FOLDERS) {
  if (!existsSync(`${root}${folder}/${tests}`)) continue;
  const files = readdirSync(`${root}${folder}/${tests}`, { recursive: true })
    .map((name) => `${tests}/${name}`)
    .filter((name) => /\.test\.m?js$/.test(name) || (long && name.endsWith(".long.js")))
    .filter((name) => wanted.length === 0 || wanted.some((part) => `${folder}/${name}`.includes(part)))
    .sort();
  if (files.length === 0) continue;
  found += files.length;
  console.log(`# ${folder}: ${files.length} files`);
  const timeout = `--test-timeout=${long ? LONG_MS : SHORT_MS}`;
  const { status } = spawnSync(process.execPath, ["--enable-source-maps", "--test", timeout, ...files], {
    cwd: root + folder,
    stdio: "inherit",
  });
  if (status !== 0) failed += 1;
}
if (found === 0) {
  console.error(`test: no test file matches ${wanted.join(", ")}`);
  process.exit(2);
}
process.exit(failed === 0 ? 0 : 1);
