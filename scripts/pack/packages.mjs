// The packages that are published, and what a package.json says of each: entry points, commands and workers.
import { readdirSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";

export const ROOT = fileURLToPath(new URL("../..", import.meta.url));
export const PACKAGES = ["irqbypass", "atomics-explorer", "irqbypass-doctor"];

/** What each of them has of others. */
export const NOTICES = "NOTICES.md";

/** Where the compiler puts a package's modules, seen from the package. */
const BUILT = "./build/src/";
/** What is for this repository alone. */
const PRIVATE = "./internal/*";

/**
 * A package as its package.json has it. `entries` and `commands` lead from the name of a published module to the built
 * one it is made from, both without ".js"; so does `workers`, whose names must not collide: the published modules lie in one
 * folder, and a worker is found by its name beside the module that starts it.
 */
export function readPackage(name) {
  const folder = join(ROOT, "packages", name);
  const manifest = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
  const entries = {};
  for (const [path, target] of Object.entries(manifest.exports)) {
    if (path === PRIVATE || path.endsWith(".json")) continue;
    entries[path === "." ? "index" : path.slice(2)] = moduleOf(target.default ?? target);
  }
  const commands = Object.fromEntries(
    Object.values(manifest.bin ?? {}).map((file) => ["cli", moduleOf(`./${file}`)]),
  );
  const workers = {};
  for (const file of readdirSync(join(folder, "src"), { recursive: true })) {
    if (!file.endsWith("-worker.ts")) continue;
    const worker = basename(file, ".ts");
    if (worker in workers)
      throw new Error(`${name}: ${workers[worker]} and ${file} would both be ${worker}.js: rename one`);
    workers[worker] = file.slice(0, -".ts".length);
  }
  return { name, folder, manifest, entries, commands, workers };
}

const moduleOf = (target) => {
  if (!target.startsWith(BUILT)) throw new Error(`${target}: what is exported is built in ${BUILT}`);
  return target.slice(BUILT.length).replace(/\.js$/, "");
};

/** What the modules of workers declare, which is nothing: who imports one wants it to run. */
export const WORKER_TYPES = "worker.d.ts";

/**
 * The package.json that is published: its modules in dist/, without what is for this repository. That one is private, so that
 * nobody publishes what was built for tests.
 */
export function publishedManifest({ manifest, entries, workers }) {
  const { private: _, devDependencies: __, imports: ___, exports, bin, ...kept } = manifest;
  const asTheyAre = ([, target]) => typeof target === "string" && !target.startsWith(BUILT);
  const published = (name) => ({
    types: `./dist/${name in workers ? WORKER_TYPES : `${name}.d.ts`}`,
    default: `./dist/${name}.js`,
  });
  return {
    ...kept,
    ...(bin && { bin: Object.fromEntries(Object.keys(bin).map((command) => [command, "dist/cli.js"])) }),
    exports: {
      ...Object.fromEntries(
        Object.keys(entries).map((name) => [name === "index" ? "." : `./${name}`, published(name)]),
      ),
      ...Object.fromEntries(Object.entries(exports).filter(asTheyAre)),
    },
    files: ["dist", ...manifest.files, "CHANGELOG.md", NOTICES],
  };
}
