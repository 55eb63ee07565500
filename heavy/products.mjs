// A page's program as it is shipped: the package's tarball in a bundle for production, small and under names with hashes in them, or
// in no bundle at all; with the page that loads it.
import { cpSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { basename, join } from "node:path";
import { ISOLATED } from "./server.mjs";

/** Where the bundler sees the page's own workers, as it sees the library's. */
const SEEN = `
export const startWorker = () => new Worker(new URL("./product-worker.mjs", import.meta.url), { type: "module" });
export const spawn = undefined;
`;
/** Where it does not: their places are written in, and the library is told how to start its own. */
const NAMED = `
export const startWorker = () => new Worker(new URL(OWN_WORKER, import.meta.url), { type: "module" });
export const spawn = () => new Worker(new URL(RELAY_WORKER, import.meta.url), { type: "module" });
`;
const RELAY = 'import "irqbypass/relay-worker";\n';

const html = (script) => `<!doctype html>
<meta charset="utf-8"><link rel="icon" href="data:,"><title>product</title>
<script type="module" src="${script}"></script>
`;

/** Each writes the page into `out`; `folder` has the program, and the package in its node_modules. */
const MAKE = {
  async vite(folder, out) {
    writeFileSync(join(folder, "workers.mjs"), SEEN);
    writeFileSync(join(folder, "index.html"), html("./product.mjs"));
    const { build } = await import("vite");
    await build({
      root: folder,
      configFile: false,
      logLevel: "error",
      build: { outDir: out, target: "es2023" },
      worker: { format: "es" },
    });
  },
  async webpack(folder, out) {
    writeFileSync(join(folder, "workers.mjs"), SEEN);
    const { default: webpack } = await import("webpack");
    const compiler = webpack({
      mode: "production",
      context: folder,
      entry: "./product.mjs",
      output: { path: out, filename: "[name].[contenthash].js", publicPath: "/" },
    });
    const stats = await new Promise((resolve, reject) => {
      compiler.run((error, done) => (error ? reject(error) : resolve(done)));
    });
    await new Promise((resolve) => compiler.close(resolve));
    const { errors, entrypoints } = stats.toJson({ all: false, errors: true, entrypoints: true });
    if (errors.length > 0) throw new Error(errors.map(({ message }) => message).join("\n"));
    writeFileSync(join(out, "index.html"), html(`/${entrypoints.main.assets[0].name}`));
  },
  async rollup(folder, out) {
    writeFileSync(join(folder, "workers.mjs"), NAMED);
    const { rollup } = await import("rollup");
    const { minify } = await import("terser");
    const require = createRequire(join(folder, "product.mjs"));
    const bundle = async (entry, names) => {
      const built = await rollup({
        input: join(folder, entry),
        plugins: [
          // As @rollup/plugin-node-resolve and @rollup/plugin-terser do.
          {
            name: "resolve",
            resolveId: (id) => (/^irqbypass(\/|$)/.test(id) ? require.resolve(id) : null),
            renderChunk: async (code) => ({
              code: (await minify(named(code, names), { module: true })).code,
              map: null,
            }),
          },
        ],
      });
      const { output } = await built.write({
        dir: out,
        format: "es",
        entryFileNames: "[name]-[hash].js",
        chunkFileNames: "[name]-[hash].js",
      });
      await built.close();
      return output.find(({ isEntry }) => isEntry).fileName;
    };
    await withWorkers(out, bundle);
  },
  async esbuild(folder, out) {
    writeFileSync(join(folder, "workers.mjs"), NAMED);
    const { build } = await import("esbuild");
    const bundle = async (entry, names = {}) => {
      const { metafile } = await build({
        entryPoints: [join(folder, entry)],
        bundle: true,
        minify: true,
        format: "esm",
        target: "es2023",
        entryNames: "[name]-[hash]",
        outdir: out,
        absWorkingDir: folder,
        metafile: true,
        logLevel: "error",
        define: Object.fromEntries(Object.entries(names).map(([name, text]) => [name, JSON.stringify(text)])),
      });
      return basename(
        Object.entries(metafile.outputs).find(([, { entryPoint }]) => entryPoint !== undefined)[0],
      );
    };
    await withWorkers(out, bundle);
  },
  /** The package's modules as they are: where they lie takes the place of their names. */
  async unbundled(folder, out) {
    writeFileSync(join(folder, "workers.mjs"), SEEN);
    const { exports } = JSON.parse(readFileSync(join(folder, "node_modules/irqbypass/package.json"), "utf8"));
    const index = join("/irqbypass", exports["."].default ?? exports["."]);
    cpSync(join(folder, "node_modules/irqbypass"), join(out, "irqbypass"), { recursive: true });
    for (const file of ["product.mjs", "product-worker.mjs", "workers.mjs"]) {
      const text = readFileSync(join(folder, file), "utf8");
      writeFileSync(join(out, file), text.replace('from "irqbypass"', `from "${index}"`));
    }
    writeFileSync(join(out, "index.html"), html("/product.mjs"));
  },
};

/** The page of the same programs on Vite's development server: its `url`, until it is closed. */
export async function startDevelopment({ folder }) {
  writeFileSync(join(folder, "workers.mjs"), SEEN);
  writeFileSync(join(folder, "index.html"), html("./product.mjs"));
  const { createServer } = await import("vite");
  const server = await createServer({
    root: folder,
    configFile: false,
    logLevel: "error",
    optimizeDeps: { exclude: ["irqbypass"] },
    server: { host: "127.0.0.1", headers: ISOLATED },
  });
  await server.listen();
  return { url: server.resolvedUrls.local[0], close: () => server.close() };
}

/** The workers first, whose names are written into the program then. */
async function withWorkers(out, bundle) {
  const RELAY_WORKER = `./${await bundle("relay.mjs")}`;
  const OWN_WORKER = `./${await bundle("product-worker.mjs")}`;
  writeFileSync(
    join(out, "index.html"),
    html(`/${await bundle("product.mjs", { RELAY_WORKER, OWN_WORKER })}`),
  );
}

/** The code with texts in the place of names that nothing defines. */
function named(code, names = {}) {
  return Object.entries(names).reduce(
    (text, [name, value]) => text.replaceAll(name, JSON.stringify(value)),
    code,
  );
}

export const PRODUCTS = Object.keys(MAKE);

/** Makes the page of the programs that are in the folder of `installed`, and returns the folder that a server gives out. */
export async function makeProduct(how, installed) {
  const out = join(installed.folder, `product-${how}`);
  mkdirSync(out);
  installed.write("relay.mjs", RELAY);
  await MAKE[how](installed.folder, out);
  return out;
}
