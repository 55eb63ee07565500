// Holds the house together, in every package: a file imports only from its own floor and the floors below it, no files
// import each other in a circle (imports of types included), the core of the fabric touches no Node API but in its
// adapter, no package imports another that it may not, workers have names of their own and are started so that bundlers
// see it, and no file of a src/ is longer than 400 lines.
import { readdirSync, readFileSync } from "node:fs";
import { basename, dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import ts from "typescript";

const root = fileURLToPath(new URL("..", import.meta.url));
const LONGEST = 400;

/** Floors from the ground up; files beside them are on a floor of their own, named after the file. */
const HOUSES = [
  {
    folder: "packages/irqbypass",
    floors: ["host", "eventfd", "posting", "bypass", "vm", "device", "index", "linux", "kvm", "cli"],
    core: {
      floors: ["host", "eventfd", "posting", "bypass", "vm", "device", "index"],
      adapter: "host/platform-node.ts",
    },
    packages: ["commander", "valibot", "koffi"],
  },
  {
    folder: "packages/irqbypass-doctor",
    floors: ["source", "parse", "facts", "trace", "storm", "judge", "report", "index", "cli"],
    packages: ["commander", "koffi"],
  },
  { folder: "packages/atomics-explorer", floors: [".", "cli"], packages: ["commander"] },
];
/** Where the order of floors says nothing, and circles are forbidden all the same. */
const BESIDE = [
  "packages/irqbypass/scenarios",
  "packages/irqbypass/test",
  "packages/irqbypass-doctor/test",
  "packages/atomics-explorer/test",
  "bench",
];

const problems = [];
let count = 0;

/** Every specifier that a file imports, of types too. */
const importsOf = (text) => ts.preProcessFile(text, true, true).importedFiles.map(({ fileName }) => fileName);

function filesOf(folder) {
  return readdirSync(join(root, folder), { recursive: true })
    .filter((name) => /\.(ts|mjs)$/.test(name) && !/(^|\/)(build|node_modules)\//.test(name))
    .sort();
}

/** Imports inside of a folder, and what else is imported. */
function graphOf(folder) {
  const graph = new Map();
  const outside = [];
  for (const file of filesOf(folder)) {
    const text = readFileSync(join(root, folder, file), "utf8");
    const local = [];
    for (const specifier of importsOf(text)) {
      if (!specifier.startsWith(".")) outside.push([file, specifier]);
      else local.push(relative(".", join(dirname(file), specifier)).replace(/\.js$/, ".ts"));
    }
    graph.set(file, local);
    count += 1;
  }
  return { graph, outside };
}

/**
 * Modules of workers: their names are unique, as a bundle puts them into one folder, and below the command each is started by
 * the one expression that bundlers look for.
 */
function workers(src, graph, floorOf) {
  const started = new Set();
  for (const file of graph.keys()) {
    const text = readFileSync(join(root, src, file), "utf8");
    for (const [, name] of text.matchAll(/\bnew Worker\(\s*new URL\("\.\/([^"]+)\.js", import\.meta\.url\)/g))
      started.add(join(dirname(file), `${name}.ts`));
  }
  const seen = new Map();
  for (const file of [...graph.keys()].filter((name) => name.endsWith("-worker.ts"))) {
    const twin = seen.get(basename(file));
    if (twin !== undefined)
      problems.push(`${src}/${file}: a worker's file has a name of its own, unlike ${twin}`);
    seen.set(basename(file), file);
    if (floorOf(file) !== "cli" && !started.has(file))
      problems.push(`${src}/${file}: nothing says new Worker(new URL("./NAME.js", import.meta.url)) for it`);
  }
}

function circles(folder, graph) {
  const done = new Set();
  const walk = (file, trail) => {
    if (trail.includes(file)) {
      const circle = [...trail.slice(trail.indexOf(file)), file];
      problems.push(`${folder}: imports in a circle: ${circle.join(" -> ")}`);
      return;
    }
    if (done.has(file)) return;
    for (const next of graph.get(file) ?? []) walk(next, [...trail, file]);
    done.add(file);
  };
  for (const file of graph.keys()) walk(file, []);
}

for (const { folder, floors, core, packages } of HOUSES) {
  const src = `${folder}/src`;
  const { graph, outside } = graphOf(src);
  const floorOf = (file) => {
    if (file.includes("/")) return file.slice(0, file.indexOf("/"));
    return floors.includes(".") ? "." : file.replace(/\.ts$/, "");
  };
  for (const file of graph.keys()) {
    if (!floors.includes(floorOf(file)))
      problems.push(`${src}/${file}: is on no floor: name it in scripts/floors.mjs`);
    const lines = readFileSync(join(root, src, file), "utf8").split("\n").length - 1;
    if (lines > LONGEST) problems.push(`${src}/${file}: ${lines} lines, at most ${LONGEST}`);
  }
  for (const [file, targets] of graph)
    for (const target of targets)
      if (floors.indexOf(floorOf(target)) > floors.indexOf(floorOf(file)))
        problems.push(`${src}/${file}: imports up the house: ${target}`);
  for (const [file, specifier] of outside) {
    if (core?.floors.includes(floorOf(file)) && file !== core.adapter)
      problems.push(`${src}/${file}: the core imports nothing from outside: ${specifier}`);
    const name = specifier.startsWith("@")
      ? specifier.split("/").slice(0, 2).join("/")
      : specifier.split("/")[0];
    if (!specifier.startsWith("node:") && !packages.includes(name))
      problems.push(`${src}/${file}: the package does not have ${specifier}`);
  }
  circles(src, graph);
  workers(src, graph, floorOf);
}
for (const folder of BESIDE) circles(folder, graphOf(folder).graph);

for (const problem of problems) console.error(problem);
console.log(`floors: ${count} files, ${problems.length} problems`);
process.exit(problems.length === 0 ? 0 : 1);
