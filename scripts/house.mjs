// What floors.mjs looks at: who imports whom in a folder of sources, and what is wrong with that.
import { readdirSync, readFileSync } from "node:fs";
import { basename, dirname, join, relative } from "node:path";
import ts from "typescript";

const LONGEST = 400;
/** The expression that bundlers look for. */
const STARTS = /\bnew Worker\(\s*new URL\("(\.\/[^"]+)", import\.meta\.url\)/g;

/**
 * Looks at each house, `folder/src` with its `floors` from the ground up, and for circles alone at each folder of `beside`;
 * folders are named from `root`. Files that lie beside the floors' folders are floors of their own, named after the file.
 * Returns how many files there are, and a sentence for each problem.
 */
export function inspect(root, houses, beside) {
  const problems = [];
  let files = 0;
  for (const house of houses) {
    const src = `${house.folder}/src`;
    const sources = read(join(root, src));
    files += sources.length;
    problems.push(...sources.flatMap((source) => onItsFloor(source, house).map((said) => `${src}/${said}`)));
    problems.push(...circles(sources).map((said) => `${src}: ${said}`));
    problems.push(...workers(sources, house).map((said) => `${src}/${said}`));
  }
  for (const folder of beside) {
    const sources = read(join(root, folder));
    files += sources.length;
    problems.push(...circles(sources).map((said) => `${folder}: ${said}`));
  }
  return { files, problems };
}

/** The sources of a folder: the name of each, its lines, the files of the folder that it imports, and what else it imports. */
function read(folder) {
  return readdirSync(folder, { recursive: true })
    .filter((name) => /\.(ts|mjs)$/.test(name) && !/(^|\/)(build|node_modules)\//.test(name))
    .sort()
    .map((name) => {
      const text = readFileSync(join(folder, name), "utf8");
      const specifiers = ts.preProcessFile(text, true, true).importedFiles.map(({ fileName }) => fileName);
      return {
        name,
        lines: text.split("\n").length - 1,
        inside: specifiers
          .filter((specifier) => specifier.startsWith("."))
          .map((specifier) => besides(name, specifier)),
        outside: specifiers.filter((specifier) => !specifier.startsWith(".")),
        starts: [...text.matchAll(STARTS)].map(([, file]) => besides(name, file)),
      };
    });
}

/** The source that a specifier in `name` means. */
const besides = (name, specifier) => relative(".", join(dirname(name), specifier)).replace(/\.js$/, ".ts");

/**
 * Modules of workers: a bundle puts them into one folder, so their names are unique; and below the roof, where the command
 * lives, each is started by the expression that bundlers look for.
 */
function workers(sources, { floors }) {
  const problems = [];
  const started = new Set(sources.flatMap(({ starts }) => starts));
  const seen = new Map();
  for (const { name } of sources.filter((source) => source.name.endsWith("-worker.ts"))) {
    const file = basename(name);
    if (seen.has(file))
      problems.push(`${name}: a worker's file has a name of its own, not that of ${seen.get(file)}`);
    seen.set(file, name);
    if (!name.startsWith(`${floors.at(-1)}/`) && !started.has(name))
      problems.push(
        `${name}: nothing says new Worker(new URL("./${file.replace(/ts$/, "js")}", import.meta.url)`,
      );
  }
  return problems;
}

/** What is wrong with one file of a house. */
function onItsFloor({ name, lines, inside, outside }, { floors, core, packages }) {
  const problems = [];
  const floorOf = (file) =>
    file.includes("/") ? file.slice(0, file.indexOf("/")) : file.replace(/\.ts$/, "");
  const own = floors.indexOf(floorOf(name));
  if (own < 0) problems.push(`${name}: is on no floor: name it in scripts/floors.mjs`);
  if (lines > LONGEST) problems.push(`${name}: ${lines} lines, at most ${LONGEST}`);
  for (const target of inside) {
    if (target.startsWith("../")) problems.push(`${name}: imports out of the house: ${target}`);
    else if (own >= 0 && floors.indexOf(floorOf(target)) > own)
      problems.push(`${name}: imports up the house: ${target}`);
  }
  for (const specifier of outside) {
    if (core?.floors.includes(floorOf(name)) && name !== core.adapter)
      problems.push(`${name}: the core imports nothing from outside: ${specifier}`);
    const parts = specifier.split("/");
    const from = specifier.startsWith("@") ? `${parts[0]}/${parts[1]}` : parts[0];
    if (!specifier.startsWith("node:") && !packages.includes(from))
      problems.push(`${name}: the package does not have ${specifier}`);
  }
  return problems;
}

function circles(sources) {
  const problems = [];
  const inside = new Map(sources.map((source) => [source.name, source.inside]));
  const done = new Set();
  const walk = (file, trail) => {
    if (trail.includes(file)) {
      const circle = [...trail.slice(trail.indexOf(file)), file];
      problems.push(`imports in a circle: ${circle.join(" -> ")}`);
      return;
    }
    if (done.has(file)) return;
    for (const next of inside.get(file) ?? []) walk(next, [...trail, file]);
    done.add(file);
  };
  for (const file of inside.keys()) walk(file, []);
  return problems;
}
