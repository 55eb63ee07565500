// What the public surface of an entry point is, as somebody reviews it.
import ts from "typescript";

/**
 * The rolled-up declarations of an entry point, without comments and private members, and without those that were `said`
 * before, to which it adds its own.
 */
export function reportOf(text, said) {
  const source = ts.createSourceFile("api.d.ts", text, ts.ScriptTarget.ESNext, true, ts.ScriptKind.TS);
  const { transformed } = ts.transform(source, [withoutPrivateMembers]);
  const printer = ts.createPrinter({ removeComments: true });
  const statements = transformed[0].statements
    .map((statement) => printer.printNode(ts.EmitHint.Unspecified, statement, source))
    .filter((statement) => !said.has(statement));
  for (const statement of statements) if (!statement.startsWith("export")) said.add(statement);
  return `// What this entry point exports; written by npm run api; review what changes.\n${statements.join("\n")}\n`;
}

/** Private constructors stay: that there is no `new` is public. */
function withoutPrivateMembers(context) {
  const isPrivate = (node) =>
    (ts.isClassElement(node) && node.name !== undefined && ts.isPrivateIdentifier(node.name)) ||
    (ts.isClassElement(node) &&
      !ts.isConstructorDeclaration(node) &&
      (ts.getCombinedModifierFlags(node) & ts.ModifierFlags.Private) !== 0);
  const visit = (node) => (isPrivate(node) ? undefined : ts.visitEachChild(node, visit, context));
  return (source) => ts.visitEachChild(source, visit, context);
}
