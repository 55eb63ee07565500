// Makes a checkout ready to run: installs what is missing, then builds what is stale. Needs Node and npm only.
import { spawnSync } from "node:child_process";
import { chmodSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { INSTALL, isInstalled } from "./install.mjs";

const root = fileURLToPath(new URL("..", import.meta.url));

function run(command, args) {
  const { status, error } = spawnSync(command, args, { cwd: root, stdio: ["ignore", 2, 2] });
  if (error) throw error;
  if (status !== 0) {
    console.error(`ready: "${command} ${args.join(" ")}" ended with ${status}`);
    process.exit(status ?? 1);
  }
}

if (!isInstalled(root)) run("npm", INSTALL);
run(process.execPath, ["node_modules/typescript/bin/tsc", "-b"]);
run(process.execPath, ["packages/irqbypass/assembly/compile.mjs"]);
for (const name of ["irqbypass", "atomics-explorer", "irqbypass-doctor"])
  chmodSync(`${root}/packages/${name}/build/src/cli/main.js`, 0o755); // npm does it on install only
