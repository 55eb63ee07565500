// What users bundle a page's program with, and how large a first program of one becomes.
import assert from "node:assert/strict";
import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";

const FIRST = new URL("programs/first.mjs", import.meta.url);

/** Each bundles a program of a folder, which exports what it exports as `main.js` in `out`. */
const BUNDLE = {
  async vite(folder, program, out) {
    const { build } = await import("vite");
    await build({
      root: folder,
      configFile: false,
      logLevel: "error",
      base: "./",
      build: {
        outDir: out,
        target: "es2023",
        modulePreload: false,
        rollupOptions: {
          input: join(folder, program),
          preserveEntrySignatures: "strict",
          output: { entryFileNames: "main.js" },
        },
      },
      worker: { format: "es" },
    });
  },
  async webpack(folder, program, out) {
    const { default: webpack } = await import("webpack");
    const compiler = webpack({
      mode: "production",
      context: folder,
      entry: join(folder, program),
      experiments: { outputModule: true },
      output: { path: out, filename: "main.js", module: true, library: { type: "module" } },
    });
    const stats = await new Promise((resolve, reject) => {
      compiler.run((error, done) => (error ? reject(error) : resolve(done)));
    });
    await new Promise((resolve) => compiler.close(resolve));
    assert.deepEqual(stats.compilation.errors, []);
  },
};

export const BUNDLERS = Object.keys(BUNDLE);

/** Bundles a program of the folder in which the package is installed, and returns the folder that has it as `main.js`. */
export async function bundle(bundler, installed, program) {
  const out = join(installed.folder, `${bundler}-${program}`);
  mkdirSync(out);
  await BUNDLE[bundler](installed.folder, program, out);
  return out;
}

/**
 * The bytes, gzipped, of the README's first program as Vite bundles it, imported from an entry point of the package: of all modules
 * that have to be there before it starts.
 */
export async function firstProgram(installed, entry) {
  const program = `first-of-${entry.replace("/", "-")}.mjs`;
  installed.write(program, readFileSync(FIRST, "utf8").replace('"irqbypass"', `"${entry}"`));
  const out = await bundle("vite", installed, program);
  let bytes = 0;
  for (const file of startOf(out)) bytes += gzipSync(readFileSync(file)).length;
  return bytes;
}

/** The modules of a bundle that its `main.js` imports, itself among them; not what these load late. */
function startOf(out) {
  const found = new Set([join(out, "main.js")]);
  for (const file of found)
    for (const [, module] of readFileSync(file, "utf8").matchAll(/\b(?:from|import)\s*"(\.[^"]+)"/g))
      found.add(join(file, "..", module));
  return found;
}
