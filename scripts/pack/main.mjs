// Makes what is published of a package, in its build/pack/, and prints that folder. Without names, of all packages.
//   node scripts/pack/main.mjs irqbypass
import { cpSync, existsSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { rollDeclarations, stripInternal } from "./declarations.mjs";
import { bundleModules } from "./modules.mjs";
import { NOTICES, PACKAGES, publishedManifest, ROOT, readPackage } from "./packages.mjs";

const wanted = process.argv.slice(2);
const unknown = wanted.filter((name) => !PACKAGES.includes(name));
if (unknown.length > 0) {
  console.error(`pack: there is no package ${unknown.join(", ")}; allowed: ${PACKAGES.join(", ")}`);
  process.exit(2);
}

for (const name of wanted.length > 0 ? wanted : PACKAGES) {
  const one = readPackage(name);
  const staging = join(one.folder, "build/pack");
  const dist = join(staging, "dist");
  rmSync(staging, { recursive: true, force: true });
  mkdirSync(dist, { recursive: true });
  await bundleModules(one, dist);
  for (const [file, text] of await rollDeclarations(stripInternal(one), one.entries))
    writeFileSync(join(dist, file), text);
  const manifest = publishedManifest(one);
  for (const file of [...one.manifest.files, "README.md", "CHANGELOG.md", "LICENSE"]) {
    const from = join(one.folder, file);
    if (!existsSync(from)) throw new Error(`${name}: ${file} is to be published, and is not there`);
    cpSync(from, join(staging, file), { recursive: true });
  }
  cpSync(join(ROOT, NOTICES), join(staging, NOTICES));
  writeFileSync(join(staging, "package.json"), `${JSON.stringify(manifest, null, 2)}\n`);
  console.log(staging);
}
