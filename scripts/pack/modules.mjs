// Bundles what is published of a package: one module for each entry point, command and worker, with what they share in
// common chunks, so that a class is one class wherever it is imported from.
import { join, relative } from "node:path";
import { rollup } from "rollup";
import ts from "typescript";

/**
 * Comments are for who reads the sources; names and lines stay, so that a stack trace can be read. Indented with tabs it takes a
 * fortieth less.
 */
const asPublished = {
  name: "as-published",
  renderChunk(code) {
    const compilerOptions = {
      removeComments: true,
      target: ts.ScriptTarget.ESNext,
      module: ts.ModuleKind.ESNext,
    };
    return withTabs(ts.transpileModule(code, { compilerOptions }).outputText);
  },
};

/** The same with a tab for each four spaces that a line begins with, but where that is the text of a template. */
export function withTabs(code) {
  const source = ts.createSourceFile("chunk.js", code, ts.ScriptTarget.ESNext, true);
  const lineOf = (position) => source.getLineAndCharacterOfPosition(position).line;
  const texts = new Set();
  const visit = (node) => {
    if (
      ts.isTemplateMiddleOrTemplateTail(node) ||
      ts.isTemplateHead(node) ||
      ts.isNoSubstitutionTemplateLiteral(node)
    )
      for (let line = lineOf(node.getStart()) + 1; line <= lineOf(node.end); line++) texts.add(line);
    ts.forEachChild(node, visit);
  };
  visit(source);
  const indented = (line) => line.replace(/^(?: {4})+/, (spaces) => "\t".repeat(spaces.length / 4));
  return code
    .split("\n")
    .map((line, at) => (texts.has(at) ? line : indented(line)))
    .join("\n");
}

/**
 * TypeScript writes the object of an enum as a call that fills a variable, which no bundler dares to leave out. What is
 * compiled has the numbers in place, so hardly anybody needs the object: made by a pure expression, it goes where it is unused.
 */
const pureEnums = {
  name: "pure-enums",
  transform(code) {
    const filled = /export var (\w+);\n\(function \(\1\) \{([\s\S]*?)\n\}\)\(\1 \|\| \(\1 = \{\}\)\);/g;
    return code.replace(
      filled,
      (_, name, body) =>
        `export const ${name} = /* @__PURE__ */ ((${name}) => {${body}\n    return ${name};\n})({});`,
    );
  },
};

/**
 * The floors, and single modules, that go together, by the name of the module that has them: what a program imports is one module and
 * not a dozen, which is what most of an import costs, and a stack trace names it for what it is. All other code goes where it is used.
 */
const TOGETHER = {
  whole: ["host/", "eventfd/", "posting/", "bypass/", "device/", "vm/"],
  "linux-core": ["linux/"],
  "kvm-core": ["kvm/"],
  run: [
    ...[
      "cli/numbers.js",
      "cli/run/ledger.js",
      "cli/run/plan.js",
      "cli/run/seat.js",
      "cli/run/software-guest.js",
    ],
    "cli/storm/board.js",
  ],
};

/**
 * Of those the modules that these need, by the name of the module that has them; each only what the ones before have not. A bundler
 * keeps a module together: what a page loads late, or not at all, must be none of those that it starts with.
 */
const NEEDED = {
  core: [
    "vm/slim-host.js",
    "vm/slim-vm.js",
    "vm/slim-vcpu.js",
    "eventfd/eventfd.js",
    "device/slim-vfio-pci.js",
  ],
  late: ["vm/late.js"],
};

/** Which module has a source, for Rollup: `src` is where the sources are, `isEntry` those that are modules of their own. */
function chunksOf(src, isEntry) {
  const chunks = new Map();
  const place = (id, chunk, info) => {
    if (chunks.has(id) || isEntry.has(id)) return;
    chunks.set(id, chunk);
    for (const needed of info(id)?.importedIds ?? []) place(needed, chunk, info);
  };
  return (id, { getModuleInfo }) => {
    if (chunks.size === 0)
      for (const [chunk, modules] of Object.entries(NEEDED))
        for (const module of modules) place(join(src, module), chunk, getModuleInfo);
    if (isEntry.has(id)) return undefined;
    const source = relative(src, id);
    return (
      chunks.get(id) ??
      Object.keys(TOGETHER).find((name) => TOGETHER[name].some((part) => source.startsWith(part)))
    );
  };
}

/** Writes the modules into `dist`. */
export async function bundleModules({ folder, entries, commands, workers }, dist) {
  const src = join(folder, "build/src");
  const built = (module) => join(src, `${module}.js`);
  const input = Object.fromEntries(
    Object.entries({ ...entries, ...commands, ...workers }).map(([name, module]) => [name, built(module)]),
  );
  const isEntry = new Set(Object.values(input));
  const bundle = await rollup({
    input,
    plugins: [pureEnums],
    external: (id) => !/^[./]/.test(id),
    onLog(level, log) {
      // TypeScript's helper for `using`, in a module of its own, looks whether there is a `this`.
      if (level !== "info" && log.code !== "THIS_IS_UNDEFINED") console.error(`${level}: ${log.message}`);
    },
  });
  await bundle.write({
    dir: dist,
    format: "es",
    hoistTransitiveImports: false,
    experimentalMinChunkSize: 10_000,
    manualChunks: chunksOf(src, isEntry),
    chunkFileNames: "[name].js", // beside the workers: `new URL("./relay-worker.js", import.meta.url)` stands in them,
    plugins: [asPublished],
  });
  await bundle.close();
}
