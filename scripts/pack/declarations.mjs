// The declarations of what is published: without what is marked @internal, one file for each entry point, and what they
// share in common files, so that a type is one type wherever it is imported from.
import { cpSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { rollup } from "rollup";
import { dts } from "rollup-plugin-dts";
import ts from "typescript";

/** `Disposable` is of a library that a project with plain `lib` does not name. */
const LIBRARY = '/// <reference lib="esnext.disposable" />';

/** Copies the declarations that were built of a package, without what is internal; returns where they are. */
export function stripInternal({ folder }) {
  const types = join(folder, "build/types");
  const declares = (path) => !/\.[^/]*$/.test(path.slice(types.length)) || path.endsWith(".d.ts");
  rmSync(types, { recursive: true, force: true });
  cpSync(join(folder, "build/src"), types, { recursive: true, filter: (_, to) => declares(to) });
  for (const file of readdirSync(types, { recursive: true })) {
    if (!file.endsWith(".d.ts")) continue;
    const path = join(types, file);
    writeFileSync(path, withoutInternal(readFileSync(path, "utf8")));
  }
  return types;
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
  const bundle = await rollup({ input, plugins: [dts()], external: (id) => !/^[./]/.test(id), onLog });
  const { output } = await bundle.generate({
    format: "es",
    entryFileNames: "[name].d.ts",
    chunkFileNames: ({ name }) => `${name.replace(/\.d$/, "")}.d.ts`,
  });
  await bundle.close();
  return new Map(
    output.map(({ fileName, code, isEntry }) => [fileName, isEntry ? `${LIBRARY}\n${code}` : code]),
  );
}

/** What exports nothing is a worker's module, and that is as it should be; what is not exported, scripts/api.mjs says. */
function onLog(level, log) {
  if (log.code !== "EMPTY_BUNDLE" && log.plugin !== "dts") console.error(`${level}: ${log.message}`);
}
