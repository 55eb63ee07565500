// The examples in the doc comments of what a package exports: of each factory one, as a program of its own.
import { readdirSync, readFileSync } from "node:fs";
import { join, relative } from "node:path";
import ts from "typescript";

/** How a static method is called that makes something. */
const MAKES = new Set(["create", "open", "attach", "adopt", "dup"]);
/** Functions that make something. */
const FUNCTIONS = new Set(["linux", "kvm", "loadFfi", "inspectHost"]);

/**
 * The factories in the sources of a package: exported functions and static methods that make something, and constructors that
 * anybody may call. Each has its `name`, the `file` it is in, and its `examples`, the code blocks of its doc comment.
 */
export function readFactories({ folder, entries }) {
  const src = join(folder, "src");
  const exported = new Set();
  for (const module of Object.values(entries)) {
    const text = readFileSync(join(src, `${module}.ts`), "utf8");
    for (const [, names] of text.matchAll(/^export \{([^}]*)\}/gm))
      for (const name of names.split(",")) exported.add(name.replace(/^\s*(type )?|\s*$/g, ""));
    for (const [, name] of text.matchAll(/^export (?:async )?function (\w+)/gm)) exported.add(name);
  }
  const found = [];
  for (const file of readdirSync(src, { recursive: true })) {
    if (!file.endsWith(".ts")) continue;
    const text = readFileSync(join(src, file), "utf8");
    const source = ts.createSourceFile(file, text, ts.ScriptTarget.ESNext, true);
    for (const statement of source.statements) {
      const name = statement.name?.text;
      if (name === undefined || !exported.has(name)) continue;
      for (const [what, node] of factoriesOf(statement, name))
        found.push({ name: what, file: relative(folder, join(src, file)), examples: examplesOf(node) });
    }
  }
  return found;
}

function* factoriesOf(statement, name) {
  if (ts.isFunctionDeclaration(statement) && FUNCTIONS.has(name)) yield [name, statement];
  if (!ts.isClassDeclaration(statement)) return;
  for (const member of statement.members) {
    if (isHidden(member)) continue;
    if (ts.isMethodDeclaration(member) && isStatic(member) && MAKES.has(member.name.text))
      yield [`${name}.${member.name.text}`, member];
    if (ts.isConstructorDeclaration(member) && ts.getJSDocCommentsAndTags(member).length > 0)
      if (!statement.modifiers?.some(({ kind }) => kind === ts.SyntaxKind.AbstractKeyword))
        yield [`new ${name}`, member];
  }
}

const isStatic = (member) =>
  member.modifiers?.some(({ kind }) => kind === ts.SyntaxKind.StaticKeyword) === true;

function isHidden(member) {
  const hides = [ts.SyntaxKind.PrivateKeyword, ts.SyntaxKind.ProtectedKeyword];
  if (member.modifiers?.some(({ kind }) => hides.includes(kind))) return true;
  return ts.getJSDocTags(member).some(({ tagName }) => tagName.text === "internal");
}

/** The code of each @example of a declaration. */
function examplesOf(node) {
  return ts
    .getJSDocTags(node)
    .filter(({ tagName }) => tagName.text === "example")
    .map((tag) => /```ts\n([\s\S]*?)\n```/.exec(ts.getTextOfJSDocComment(tag.comment) ?? "")?.[1])
    .filter((code) => code !== undefined);
}
