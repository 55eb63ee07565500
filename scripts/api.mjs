// The public surface of each package, one report for each entry point, in packages/NAME/api/: its declarations, rolled up
// and without comments, so that a change of what is public shows as a change of a file that somebody reviews. What such a
// declaration mentions, one of the entry points exports.
//   node scripts/api.mjs            says what differs; exit code 1 then
//   node scripts/api.mjs --write    writes the reports
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join, relative } from "node:path";
import ts from "typescript";
import { rollDeclarations, stripInternal } from "./pack/declarations.mjs";
import { PACKAGES, ROOT, readPackage } from "./pack/packages.mjs";
import { unexportedTypes } from "./pack/unexported.mjs";

const args = process.argv.slice(2);
if (args.some((arg) => arg !== "--write")) {
  console.error(`api: there is no option ${args.find((arg) => arg !== "--write")}; allowed: --write`);
  process.exit(2);
}
const write = args.length > 0;

const wanted = new Map();
const hidden = [];
for (const name of PACKAGES) {
  const one = readPackage(name);
  const types = stripInternal(one);
  const together = await rollDeclarations(types, one.entries);
  hidden.push(...unexportedTypes(together, Object.keys(one.entries)).map((type) => `${name}: ${type}`));
  for (const [entry, module] of Object.entries(one.entries)) {
    const rolled = await rollDeclarations(types, { [entry]: module });
    wanted.set(join(one.folder, "api", `${entry}.d.ts`), withoutComments(rolled.get(`${entry}.d.ts`)));
  }
}

let differing = 0;
for (const [path, text] of wanted) {
  if (existsSync(path) && readFileSync(path, "utf8") === text) continue;
  differing += 1;
  if (write) {
    mkdirSync(join(path, ".."), { recursive: true });
    writeFileSync(path, text);
  } else console.error(`api: ${relative(ROOT, path)} is not what the sources say`);
}
for (const name of PACKAGES) {
  const folder = join(ROOT, "packages", name, "api");
  for (const file of existsSync(folder) ? readdirSync(folder) : []) {
    if (wanted.has(join(folder, file))) continue;
    differing += 1;
    if (write) rmSync(join(folder, file));
    else console.error(`api: ${relative(ROOT, join(folder, file))} is of no entry point any more`);
  }
}
console.log(`api: ${wanted.size} entry points, ${differing} ${write ? "written" : "differ"}`);
for (const type of hidden)
  console.error(`api: ${type} is mentioned and not exported: export it, or mark what mentions it @internal`);
if (hidden.length > 0) process.exitCode = 1;
if (differing > 0 && !write) {
  console.error("api: npm run api writes them; review the difference, it is what users see");
  process.exitCode = 1;
}

function withoutComments(text) {
  const source = ts.createSourceFile("api.d.ts", text, ts.ScriptTarget.ESNext, true, ts.ScriptKind.TS);
  const printed = ts.createPrinter({ removeComments: true }).printFile(source);
  return `// What this entry point exports; written by scripts/api.mjs.\n${printed}`;
}
