// Makes what is published of a package, in its build/pack/: the files that its package.json names, with a package.json
// that lacks what is for this repository alone. Prints the folder. Without names, of all packages.
//   node scripts/pack.mjs irqbypass
import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../packages", import.meta.url));
const all = ["irqbypass", "atomics-explorer", "irqbypass-doctor"];
const wanted = process.argv.slice(2);
const unknown = wanted.filter((name) => !all.includes(name));
if (unknown.length > 0) {
  console.error(`pack: there is no package ${unknown.join(", ")}; allowed: ${all.join(", ")}`);
  process.exit(2);
}

for (const name of wanted.length > 0 ? wanted : all) {
  const folder = join(root, name);
  const staging = join(folder, "build/pack");
  rmSync(staging, { recursive: true, force: true });
  mkdirSync(staging, { recursive: true });
  const manifest = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
  const files = manifest.files.filter((file) => !file.startsWith("!"));
  for (const file of [...files, "README.md", "LICENSE"])
    cpSync(join(folder, file), join(staging, file), {
      recursive: true,
      filter: (from) => basename(from) !== ".tsbuildinfo",
    });
  delete manifest.exports["./internal/*"];
  delete manifest.devDependencies;
  delete manifest.imports;
  writeFileSync(join(staging, "package.json"), `${JSON.stringify(manifest, null, 2)}\n`);
  console.log(staging);
}
