// Bundles what is published of a package: one module for each entry point, command and worker, with what they share in
// common chunks, so that a class is one class wherever it is imported from.
import { join } from "node:path";
import { rollup } from "rollup";
import ts from "typescript";

/** Comments are for who reads the sources; names and lines stay, so that a stack trace can be read. */
const withoutComments = {
  name: "without-comments",
  renderChunk(code) {
    const compilerOptions = {
      removeComments: true,
      target: ts.ScriptTarget.ESNext,
      module: ts.ModuleKind.ESNext,
    };
    return ts.transpileModule(code, { compilerOptions }).outputText;
  },
};

/** Writes the modules into `dist`. */
export async function bundleModules({ folder, entries, commands, workers }, dist) {
  const built = (module) => join(folder, "build/src", `${module}.js`);
  const input = Object.fromEntries(
    Object.entries({ ...entries, ...commands, ...workers }).map(([name, module]) => [name, built(module)]),
  );
  const bundle = await rollup({
    input,
    external: (id) => !/^[./]/.test(id),
    onLog(level, log) {
      // TypeScript's helper for `using`, in a module of its own, looks whether there is a `this`.
      if (log.code !== "THIS_IS_UNDEFINED") console.error(`${level}: ${log.message}`);
    },
  });
  await bundle.write({
    dir: dist,
    format: "es",
    hoistTransitiveImports: false,
    chunkFileNames: "[name].js", // beside the workers: `new URL("./relay-worker.js", import.meta.url)` stands in them,
    plugins: [withoutComments],
  });
  await bundle.close();
}
