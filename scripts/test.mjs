// Runs the compiled tests: all of them, or those whose path contains one of the arguments.
// Names ending in .long.js run only with --long.
import { spawnSync } from "node:child_process";
import { readdirSync } from "node:fs";
import { fileURLToPath } from "node:url";

// Against hangs only: a test that is slow is no failure.
const SHORT_MS = 120_000;
const LONG_MS = 3_600_000;

const root = fileURLToPath(new URL("..", import.meta.url));
const long = process.argv.includes("--long");
const wanted = process.argv.slice(2).filter((argument) => !argument.startsWith("--"));
const files = readdirSync(`${root}/build/test`, { recursive: true })
  .map((name) => `build/test/${name}`)
  .filter((name) => name.endsWith(".test.js") || (long && name.endsWith(".long.js")))
  .filter((name) => wanted.length === 0 || wanted.some((part) => name.includes(part)))
  .sort();
if (files.length === 0) {
  console.error(`test: no test file matches ${wanted.join(", ")}`);
  process.exit(2);
}
const { status } = spawnSync(
  process.execPath,
  ["--enable-source-maps", "--test", `--test-timeout=${long ? LONG_MS : SHORT_MS}`, ...files],
  {
    cwd: root,
    stdio: "inherit",
  },
);
process.exit(status ?? 1);
