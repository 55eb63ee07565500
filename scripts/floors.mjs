// Holds the house together, in every package: a file imports only from its own floor and the floors below it, no files
// import each other in a circle (imports of types included), the core of the fabric touches no Node API but in its
// adapter, no package imports another that it may not, workers have names of their own and are started so that bundlers
// see it, and no file of a src/ is longer than 400 lines. house.mjs looks.
import { fileURLToPath } from "node:url";
import { inspect } from "./house.mjs";

const root = fileURLToPath(new URL("..", import.meta.url));

/** Floors from the ground up; files beside them are on a floor of their own, named after the file. */
const HOUSES = [
  {
    folder: "packages/irqbypass",
    floors: ["host", "eventfd", "posting", "bypass", "device", "vm", "index", "slim", "linux", "kvm", "cli"],
    core: {
      floors: ["host", "eventfd", "posting", "bypass", "device", "vm", "index", "slim"],
      adapter: "host/platform-node.ts",
    },
    packages: ["commander", "valibot", "koffi"],
  },
  {
    folder: "packages/irqbypass-doctor",
    floors: ["source", "parse", "rules", "facts", "trace", "storm", "judge", "report", "index", "cli"],
    packages: ["commander", "koffi"],
  },
  {
    folder: "packages/atomics-explorer",
    floors: ["error", "world", "search", "report", "index", "cli"],
    packages: ["commander"],
  },
];
/** Where the order of floors says nothing, and circles are forbidden all the same. */
const BESIDE = [
  "packages/irqbypass/scenarios",
  "packages/irqbypass/test",
  "packages/irqbypass-doctor/test",
  "packages/atomics-explorer/test",
  "bench",
];

const { files, problems } = inspect(root, HOUSES, BESIDE);
for (const problem of problems) console.error(problem);
console.log(`floors: ${files} files, ${problems.length} problems`);
process.exit(problems.length === 0 ? 0 : 1);
