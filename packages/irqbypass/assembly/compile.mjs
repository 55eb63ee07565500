// Compiles the fast path to WebAssembly: the functions in ENTRIES, from the very lines of src/ that are the TypeScript
// version, with `number` as i32, `bigint` as i64 and `Words` as in assembly/words.ts. Writes two modules into build/: the one that hosts
// run, and for the explorer the same with each access of memory rewritten into a call of the seam.
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { rewriteWords } from "./rewrite.mjs";

const root = fileURLToPath(new URL("..", import.meta.url));
const ENTRIES = [
  ["src/posting/signal.ts", "signal"],
  ["src/posting/signal.ts", "signalAnnounced"],
  ["src/posting/descriptor.ts", "post"],
  ["src/posting/descriptor.ts", "pending"],
  ["src/posting/descriptor.ts", "harvest"],
  ["src/eventfd/signal.ts", "countOne"],
  ["src/eventfd/events.ts", "nextFired"],
  ["src/bypass/registration.ts", "registerProducer"],
  ["src/bypass/registration.ts", "registerConsumer"],
  ["src/bypass/registration.ts", "unregisterProducer"],
  ["src/bypass/registration.ts", "unregisterConsumer"],
];
const WORDS = "assembly/words.ts";
const REWRITE = "assembly/rewrite.mjs";
const LOCK = "../../package-lock.json";
const SHIPPED = "build/src/host/module.js";
const EXPLORED = "build/scenarios/support/module.js";
const FLAGS = [
  ...["-O3", "--converge", "--noAssert", "--runtime", "stub", "--enable", "threads"],
  // Whatever memory a caller brings has no more than 65536 pages, and at least one.
  ...[
    "--importMemory",
    "--noExportMemory",
    "--sharedMemory",
    "--initialMemory",
    "1",
    "--maximumMemory",
    "65536",
  ],
];

const read = (file) => readFileSync(join(root, file), "utf8");
const hash = (file) => createHash("sha256").update(read(file)).digest("hex").slice(0, 16);

/** The first line of what is written: all files that it comes from. */
function stamp(files) {
  return `// From ${files.map((file) => `${file} ${hash(file)}`).join(", ")}`;
}

function fresh() {
  if (![SHIPPED, EXPLORED].every((file) => existsSync(join(root, file)))) return false;
  const first = read(SHIPPED).split("\n")[0];
  const files = [...first.matchAll(/(\S+) [0-9a-f]{16}/g)].map(([, file]) => file);
  return files.every((file) => existsSync(join(root, file))) && first === stamp(files);
}

/** What the entries reach, declaration by declaration, each after those that it needs. */
function gather(ts) {
  const modules = new Map();
  const taken = new Set();
  let text = "";

  function moduleOf(file) {
    if (modules.has(file)) return modules.get(file);
    const source = ts.createSourceFile(file, read(file), ts.ScriptTarget.ESNext, true);
    const own = new Map();
    const imported = new Map();
    const passedOn = [];
    for (const statement of source.statements) {
      if (ts.isImportDeclaration(statement)) {
        const { importClause } = statement;
        if (importClause.isTypeOnly) continue;
        const from = join(dirname(file), statement.moduleSpecifier.text).replace(/\.js$/, ".ts");
        for (const one of importClause.namedBindings.elements) {
          if (one.propertyName) throw new Error(`${file}: import ${one.propertyName.text} by its own name`);
          imported.set(one.name.text, from);
        }
      } else if (ts.isExportDeclaration(statement)) {
        if (statement.exportClause) throw new Error(`${file}: pass on all of a file, or nothing`);
        passedOn.push(join(dirname(file), statement.moduleSpecifier.text).replace(/\.js$/, ".ts"));
      } else if (ts.isVariableStatement(statement)) {
        for (const { name } of statement.declarationList.declarations) own.set(name.text, statement);
      } else if (statement.name) {
        own.set(statement.name.text, statement);
      }
    }
    modules.set(file, { source, own, imported, passedOn });
    return modules.get(file);
  }

  function take(file, name) {
    const { source, own, imported, passedOn } = moduleOf(file);
    if (imported.has(name)) return take(imported.get(name), name);
    const statement = own.get(name);
    if (statement === undefined) for (const from of passedOn) take(from, name);
    if (statement === undefined || taken.has(statement)) return;
    taken.add(statement);
    const visit = (node) => {
      if (ts.isPropertyAccessExpression(node)) visit(node.expression);
      else if (ts.isEnumMember(node)) node.initializer && visit(node.initializer);
      else if (ts.isIdentifier(node)) take(file, node.text);
      else ts.forEachChild(node, visit);
    };
    visit(statement);
    const entry = ENTRIES.some(([from, what]) => from === file && what === name);
    const code = source.text
      .slice(statement.getStart(), statement.end)
      .replace(/^export /, "")
      .replace(/\b(0x[\da-f_]+|\d+)n\b/g, "$1"); // what is counted in 64 bits is an i64
    text += `${entry ? "export " : ""}${code}\n`;
  }

  for (const [file, name] of ENTRIES) take(file, name);
  return {
    text: `type number = i32;\n${read(WORDS).replace(/^export /gm, "")}\n${text}`,
    files: [...modules.keys()],
  };
}

/** The bytes of the module and its text. */
async function assemble(asc, source) {
  const made = new Map();
  const { error, stderr } = await asc.main(["posting.ts", ...FLAGS, "-o", "out.wasm", "-t", "out.wat"], {
    readFile: (name) => (name === "posting.ts" ? source : null),
    writeFile: (name, contents) => void made.set(name, contents),
    listFiles: () => [],
  });
  if (error) throw new Error(`the fast path cannot be compiled\n${stderr.toString()}`);
  const text = made.get("out.wat");
  for (const state of ["data", "global", "table", "elem", "start"]) {
    if (new RegExp(`^ \\(${state}\\b`, "m").test(text))
      throw new Error(
        `the fast path has a (${state}): it may keep nothing but what is in shared words\n${text}`,
      );
  }
  return { bytes: made.get("out.wasm"), text };
}

/** What a browser compiles at once in a page's main thread; what is explored goes into none. */
const MAX_BYTES = 4096;

function write(file, first, bytes) {
  if (file === SHIPPED && bytes.length > MAX_BYTES)
    throw new Error(`${file} would have ${bytes.length} bytes of WebAssembly: a page takes ${MAX_BYTES}`);
  mkdirSync(dirname(join(root, file)), { recursive: true });
  writeFileSync(join(root, file), `${first}\nexport const MODULE = "${JSON.stringify([...bytes])}";\n`);
  console.error(`${file}: ${bytes.length} bytes of WebAssembly`);
}

if (!fresh() || process.argv.includes("--force")) {
  const [{ default: ts }, { default: asc }, { default: binaryen }] = await Promise.all([
    import("typescript"),
    import("assemblyscript/asc"),
    import("assemblyscript/binaryen"),
  ]);
  const { text: source, files } = gather(ts);
  const { bytes, text } = await assemble(asc, source);
  const self = relative(root, fileURLToPath(import.meta.url));
  const first = stamp([self, REWRITE, LOCK, WORDS, ...files]);
  write(EXPLORED, first, rewriteWords(binaryen, text));
  write(SHIPPED, first, bytes); // last: it is the one that says what is fresh
  if (process.argv.includes("--text")) console.log(`${source}\n${text}`);
}
