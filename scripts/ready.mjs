// Makes a checkout ready to run: installs what is missing, then builds what is stale. Needs Node and npm only.
import { spawnSync } from "node:child_process";
import { chmodSync, existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));

function run(command, args) {
  const { status, error } = spawnSync(command, args, { cwd: root, stdio: ["ignore", 2, 2] });
  if (error) throw error;
  if (status !== 0) {
    console.error(`ready: "${command} ${args.join(" ")}" ended with ${status}`);
    process.exit(status ?? 1);
  }
}

/** The lock file that npm leaves inside node_modules names what is really installed. */
function installed() {
  const inside = `${root}/node_modules/.package-lock.json`;
  if (!existsSync(inside)) return false;
  const have = JSON.parse(readFileSync(inside, "utf8")).packages;
  const want = JSON.parse(readFileSync(`${root}/package-lock.json`, "utf8")).packages;
  return Object.entries(want).every(
    ([name, entry]) =>
      !name.startsWith("node_modules/") ||
      entry.optional ||
      entry.link ||
      entry.version === have[name]?.version,
  );
}

if (!installed()) run("npm", ["ci", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"]);
run(process.execPath, ["node_modules/typescript/bin/tsc", "-b"]);
run(process.execPath, ["packages/irqbypass/assembly/compile.mjs"]);
for (const name of ["irqbypass", "atomics-explorer", "irqbypass-doctor"])
  chmodSync(`${root}/packages/${name}/build/src/cli/main.js`, 0o755); // npm does it on install only
