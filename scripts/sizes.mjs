// What the packages cost who installs them: their tarballs, a first program in a page where Vite can be had, and what
// `import "irqbypass"` adds to an empty program, bundled as it is published and unbundled as it is tested here. Times are medians of processes that take turns; only their ratio says much.
//   node scripts/sizes.mjs              21 processes each
//   node scripts/sizes.mjs --times 101
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { parseArgs } from "node:util";
import { firstProgram } from "../heavy/bundlers.mjs";
import { whyNotInstalled } from "../heavy/workspace.mjs";
import { PACKAGES, ROOT } from "./pack/packages.mjs";
import { Installed } from "./pack/tarball.mjs";

const { values: options } = parseArgs({ options: { times: { type: "string", default: "21" } } });
const times = Number(options.times);
if (!Number.isInteger(times) || times < 1) {
  console.error(`sizes: --times is ${options.times}: give a number of processes`);
  process.exit(2);
}

const installed = await Installed.make(PACKAGES);
try {
  for (const [name, { files, bytes }] of installed.tarballs)
    console.log(`${name}: ${files.length} files, ${(bytes / 1000).toFixed(1)} KB packed`);
  const without = await whyNotInstalled();
  for (const entry of ["irqbypass", "irqbypass/slim"])
    console.log(
      `a first program in a page from "${entry}": ${without || `${((await firstProgram(installed, entry)) / 1000).toFixed(1)} KB gzipped`}`,
    );
  const unbundled = pathToFileURL(join(ROOT, "packages/irqbypass/build/src/index.js")).href;
  const ms = medians({ empty: "", bundled: 'import "irqbypass";', unbundled: `import "${unbundled}";` });
  const [bundled, before] = [ms.bundled - ms.empty, ms.unbundled - ms.empty];
  console.log(`an empty program: ${ms.empty.toFixed(1)} ms of processor time`);
  console.log(`import "irqbypass" adds ${bundled.toFixed(1)} ms; unbundled ${before.toFixed(1)} ms`);
  console.log(`bundled over unbundled: ${(bundled / before).toFixed(2)}`);
} finally {
  installed.remove();
}

/** The median milliseconds of processor time of a process that runs each of these programs: others may be at work beside it. */
function medians(programs) {
  const taken = Object.fromEntries(Object.keys(programs).map((name) => [name, []]));
  const end = "const { user, system } = process.cpuUsage(); console.log(user + system);";
  for (const [name, text] of Object.entries(programs)) installed.write(`${name}.mjs`, `${text}\n${end}\n`);
  for (let time = -1; time < times; time++)
    for (const name of Object.keys(programs)) {
      const us = Number(installed.node(`${name}.mjs`));
      if (time >= 0) taken[name].push(us / 1000); // the first fills the file system's cache
    }
  const middle = (all) => all.sort((a, b) => a - b)[all.length >> 1];
  return Object.fromEntries(Object.entries(taken).map(([name, all]) => [name, middle(all)]));
}
