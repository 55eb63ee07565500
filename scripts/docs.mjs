// The API reference of all packages, from the doc comments of their sources, in build/reference/. Nothing that is public may go
// without a text, and no link in a doc comment may lead nowhere.
//   node scripts/docs.mjs            writes it
//   node scripts/docs.mjs --check    looks alone
import { relative } from "node:path";
import { parseArgs } from "node:util";
import { entryPoints, readReference, undocumented } from "./docs/reference.mjs";
import { ROOT } from "./pack/packages.mjs";

const { values: options } = parseArgs({ options: { check: { type: "boolean" } } });
const { app, project } = await readReference(entryPoints(), {
  readme: `${ROOT}scripts/docs/front.md`,
  out: `${ROOT}build/reference`,
});
const silent = undocumented(project);
for (const name of silent) console.error(`docs: ${name} has no doc comment: say what it is`);
if (silent.length > 0 || app.logger.hasWarnings() || app.logger.hasErrors()) process.exitCode = 1;
else if (options.check)
  console.log(`docs: ${Object.keys(project.reflections).length} items, each with a text`);
else {
  await app.generateOutputs(project);
  console.log(relative(process.cwd(), `${ROOT}build/reference/index.html`));
}
