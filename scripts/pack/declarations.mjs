// The declarations of what is published: without what is marked @internal, one file for each entry point, and what they
// share in common files, so that a type is one type wherever it is imported from.
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { rollup } from "rollup";
import { dts } from "rollup-plugin-dts";
import ts from "typescript";

/** `Disposable` is of a library that a project with plain `lib` does not name. */
const LIBRARY = '/// <reference lib="esnext.disposable" />';

/**
 * Copies the declarations that were built of a package, without what is internal, to a folder of their own, calls `use` with
 * that, and removes it.
 */
export async function withoutInternals({ folder }, use) {
  const types = mkdtempSync(join(folder, "build/types-"));
  const declares = (path) => !/\.[^/]*$/.test(path.slice(types.length)) || path.endsWith(".d.ts");
  try {
    cpSync(join(folder, "build/src"), types, { recursive: true, filter: (_, to) => declares(to) });
    for (const file of readdirSync(types, { recursive: true })) {
      if (!file.endsWith(".d.ts")) continue;
      const path = join(types, file);
      writeFileSync(path, withoutInternal(readFileSync(path, "utf8")));
    }
    return await use(types);
  } finally {
    rmSync(types, { recursive: true, force: true });
  }
}

/** A declaration file without each statement, member and constructor whose doc comment says @internal. */
export function withoutInternal(text) {
  const source = ts.createSourceFile("one.d.ts", text, ts.ScriptTarget.ESNext, true);
  let kept = "";
  let from = 0;
  const visit = (node) => {
    if (!ts.getJSDocTags(node).some(({ tagName }) => tagName.text === "internal")) {
      ts.forEachChild(node, visit);
      return;
    }
    const closed = isOnlyConstructor(node) ? "\n    protected constructor();" : "";
    kept += text.slice(from, node.getFullStart()) + closed;
    from = node.end;
  };
  visit(source);
  return kept + text.slice(from);
}

/** Without any, `new` would compile: a class whose one constructor is internal says that it is not for everybody. */
function isOnlyConstructor(node) {
  return (
    ts.isConstructorDeclaration(node) && node.parent.members.filter(ts.isConstructorDeclaration).length === 1
  );
}

/** The rolled-up declarations of `inputs`, by file name. */
export async function rollDeclarations(types, inputs) {
  const input = Object.fromEntries(
    Object.entries(inputs).map(([name, module]) => [name, join(types, `${module}.d.ts`)]),
  );
  const isEntry = new Set(Object.values(input));
  const bundle = await rollup({ input, plugins: [dts()], external: (id) => !/^[./]/.test(id), onLog });
  const { output } = await bundle.generate({
    format: "es",
    manualChunks: (id) => (isEntry.size === 1 || isEntry.has(id) ? undefined : "core"),
    entryFileNames: "[name].d.ts",
    chunkFileNames: ({ name }) => `${name.replace(/\.d$/, "")}.d.ts`,
  });
  await bundle.close();
  return new Map(
    output.map(({ fileName, name, code, isEntry }) => [
      fileName,
      isEntry ? `${LIBRARY}\n${withTypesAsTypes(code, typesOf(input[name]))}` : code,
    ]),
  );
}

/** What exports nothing is a worker's module, and that is as it should be; what is not exported, scripts/api.mjs says. */
function onLog(level, log) {
  if (log.code !== "EMPTY_BUNDLE" && log.plugin !== "dts") console.error(`${level}: ${log.message}`);
}

/**
 * Rolled-up declarations in which the names that the module itself exports as `types` alone are exported as types: the roll-up exports
 * each class as a value, and one that is none would be found missing by the program that uses it.
 */
export function withTypesAsTypes(code, types) {
  const lists = new Map();
  let kept = code;
  for (const one of exportsOf(code).reverse()) {
    const from = one.moduleSpecifier === undefined ? "" : ` from ${one.moduleSpecifier.getText()}`;
    for (const element of one.exportClause.elements) {
      const list = `export ${one.isTypeOnly || types.has(element.name.text) ? "type " : ""}%${from};`;
      lists.set(list, [...(lists.get(list) ?? []), element.getText()]);
    }
    kept = kept.slice(0, one.getFullStart()) + kept.slice(one.end);
  }
  if (lists.size === 0) return code;
  const written = [...lists]
    .sort()
    .map(([list, names]) => list.replace("%", `{ ${names.sort().join(", ")} }`));
  return `${kept.trimEnd()}\n${written.join("\n")}\n`;
}

/** The names that a module exports as types alone, those of modules that it exports whole among them. */
function typesOf(path) {
  const text = readFileSync(path, "utf8");
  const types = new Set();
  for (const [, module] of text.matchAll(/^export \* from "(.*)\.js";$/gm))
    for (const name of typesOf(join(path, "..", `${module}.d.ts`))) types.add(name);
  for (const one of exportsOf(text))
    for (const name of one.exportClause.elements)
      if (one.isTypeOnly || name.isTypeOnly) types.add(name.name.text);
  return types;
}

/** The export lists of a module. */
const exportsOf = (text) =>
  ts
    .createSourceFile("one.d.ts", text, ts.ScriptTarget.ESNext, true)
    .statements.filter((one) => ts.isExportDeclaration(one) && one.exportClause !== undefined);
