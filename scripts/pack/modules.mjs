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
  core: ["host/", "eventfd/", "posting/", "bypass/", "device/", "vm/"],
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

const chunkOf = (source) =>
  Object.keys(TOGETHER).find((name) => TOGETHER[name].some((part) => source.startsWith(part)));

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
    manualChunks: (id) => (isEntry.has(id) ? undefined : chunkOf(relative(src, id))),
    chunkFileNames: "[name].js", // beside the workers: `new URL("./relay-worker.js", import.meta.url)` stands in them,
    plugins: [asPublished],
  });
  await bundle.close();
}
