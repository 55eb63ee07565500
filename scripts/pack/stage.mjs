// What is published of a package, in a folder of its own.
import { cpSync, existsSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { rollDeclarations, withoutInternals } from "./declarations.mjs";
import { bundleModules } from "./modules.mjs";
import { NOTICES, publishedManifest, ROOT, readPackage, WORKER_TYPES } from "./packages.mjs";

/** Where what is published is made for who looks at it. */
export const stagingOf = (name) => join(ROOT, "packages", name, "build/pack");

/** Makes what is published of a package in `staging`, of which nothing else is left. */
export async function stage(name, staging = stagingOf(name)) {
  const one = readPackage(name);
  const dist = join(staging, "dist");
  rmSync(staging, { recursive: true, force: true });
  mkdirSync(dist, { recursive: true });
  await bundleModules(one, dist);
  const names = Object.keys(one.entries);
  const declares = names.filter((name) => !(name in one.workers));
  const inputs = Object.fromEntries(declares.map((name) => [name, one.entries[name]]));
  const declarations = await withoutInternals(one, (types) => rollDeclarations(types, inputs));
  if (declares.length < names.length) declarations.set(WORKER_TYPES, "export {};\n");
  for (const [file, text] of declarations) writeFileSync(join(dist, file), text);
  for (const file of [...one.manifest.files, "README.md", "CHANGELOG.md", "LICENSE"]) {
    const from = join(one.folder, file);
    if (!existsSync(from)) throw new Error(`${name}: ${file} is to be published, and is not there`);
    cpSync(from, join(staging, file), { recursive: true });
  }
  cpSync(join(ROOT, NOTICES), join(staging, NOTICES));
  writeFileSync(join(staging, "package.json"), `${JSON.stringify(publishedManifest(one), null, 2)}\n`);
}
