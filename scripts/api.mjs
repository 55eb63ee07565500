// The public surface of each package, one report for each entry point, in packages/NAME/api/: its declarations, rolled up,
// without comments and private members, so that a change of what is public shows as a change of a file that somebody reviews.
// What such a declaration mentions, one of the entry points exports. What stands in the report of an earlier entry point,
// as package.json has them, is not said again.
//   node scripts/api.mjs               says what differs; exit code 1 then
//   node scripts/api.mjs --write       writes the reports
//   node scripts/api.mjs --in FOLDER   looks at those in FOLDER/NAME/, as its own test does
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join, relative, resolve } from "node:path";
import { parseArgs } from "node:util";
import { reportOf } from "./api/report.mjs";
import { rollDeclarations, withoutInternals } from "./pack/declarations.mjs";
import { PACKAGES, ROOT, readPackage } from "./pack/packages.mjs";
import { unexportedTypes } from "./pack/unexported.mjs";

const { values: options } = parseArgs({ options: { write: { type: "boolean" }, in: { type: "string" } } });
const reportsOf = (one) =>
  options.in === undefined ? join(one.folder, "api") : join(resolve(options.in), one.manifest.name);

let entryPoints = 0;
let differing = 0;
let hidden = 0;
for (const name of PACKAGES) {
  const one = readPackage(name);
  const wanted = await withoutInternals(one, async (types) => {
    const together = await rollDeclarations(types, one.entries);
    for (const type of unexportedTypes(together, Object.keys(one.entries))) {
      hidden += 1;
      console.error(
        `api: ${name}: ${type} is mentioned and not exported: export it, or mark what mentions it @internal`,
      );
    }
    const reports = new Map();
    const said = new Set();
    for (const [entry, module] of Object.entries(one.entries)) {
      const file = `${entry}.d.ts`;
      reports.set(file, reportOf((await rollDeclarations(types, { [entry]: module })).get(file), said));
    }
    return reports;
  });
  entryPoints += wanted.size;
  differing += compare(reportsOf(one), wanted);
}
console.log(`api: ${entryPoints} entry points, ${differing} ${options.write ? "written" : "differ"}`);
if (differing > 0 && !options.write) {
  console.error("api: npm run api writes them; review the difference, it is what users see");
  process.exitCode = 1;
}
if (hidden > 0) process.exitCode = 1;

/** Says, or mends, where the reports in `folder` are not those that are wanted; returns how many. */
function compare(folder, wanted) {
  let count = 0;
  const differs = (file, how, mend) => {
    count += 1;
    if (options.write) mend(join(folder, file));
    else console.error(`api: ${relative(ROOT, join(folder, file))} ${how}`);
  };
  mkdirSync(folder, { recursive: true });
  for (const [file, text] of wanted) {
    const path = join(folder, file);
    if (!existsSync(path)) differs(file, "is missing", () => writeFileSync(path, text));
    else if (readFileSync(path, "utf8") !== text)
      differs(file, "is not what the sources say", () => writeFileSync(path, text));
  }
  for (const file of readdirSync(folder))
    if (!wanted.has(file)) differs(file, "is of no entry point any more", rmSync);
  return count;
}
