// Types that a published declaration mentions, and that no entry point exports: nobody could write down what they have got.
import ts from "typescript";

/**
 * Looks at rolled-up declarations, `files` by name, of which `entries` are names of entry points. Returns "chunk.d.ts: Name" for
 * each class, interface and alias that none of these exports. Constants are left out: of them a type needs no name.
 */
export function unexportedTypes(files, entries) {
  const modules = new Map([...files].map(([file, text]) => [file, readModule(file, text)]));
  const exported = new Set();
  for (const entry of entries) {
    const { exports, imports } = modules.get(`${entry}.d.ts`);
    for (const { local, from } of exports.values()) {
      const [file, name] = from === undefined ? (imports.get(local) ?? [`${entry}.d.ts`]) : [from, local];
      const shared = name === undefined ? local : modules.get(file)?.exports.get(name)?.local;
      exported.add(`${file}: ${shared}`);
    }
  }
  const types = [...modules].flatMap(([file, one]) => one.types.map((name) => `${file}: ${name}`));
  return types.filter((name) => !exported.has(name));
}

/** What a module exports, by name, what its imports are, by local name, and which types it declares. */
function readModule(file, text) {
  const exports = new Map();
  const imports = new Map();
  const types = [];
  const beside = (specifier) => specifier.text.replace(/^\.\/(.*)\.js$/, "$1.d.ts");
  for (const one of ts.createSourceFile(file, text, ts.ScriptTarget.ESNext).statements) {
    if (ts.isExportDeclaration(one) && one.exportClause !== undefined) {
      const from = one.moduleSpecifier && beside(one.moduleSpecifier);
      for (const { name, propertyName } of one.exportClause.elements)
        exports.set(name.text, { local: (propertyName ?? name).text, from });
    }
    if (ts.isImportDeclaration(one) && one.importClause?.namedBindings?.elements !== undefined)
      for (const { name, propertyName } of one.importClause.namedBindings.elements)
        imports.set(name.text, [beside(one.moduleSpecifier), (propertyName ?? name).text]);
    if (ts.isClassDeclaration(one) || ts.isInterfaceDeclaration(one) || ts.isTypeAliasDeclaration(one))
      types.push(one.name.text);
  }
  return { exports, imports, types };
}
