// Holds the table of reasons in the README to src/posting/reason.ts: each word of the union, what it means, what to do, in the
// order of WORST_FIRST.
//   node scripts/reasons.mjs            says whether they differ; exit code 1 then
//   node scripts/reasons.mjs --write    writes the table
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import ts from "typescript";
import { readFlags } from "./flags.mjs";

const SOURCE = new URL("../packages/irqbypass/src/posting/reason.ts", import.meta.url);
const README = new URL("../packages/irqbypass/README.md", import.meta.url);
const TABLE = /(<!-- reasons -->\n)[\s\S]*?(<!-- \/reasons -->)/;
const DO = " What to do: ";

const write = readFlags("reasons", "--write").has("--write");

const rows = readReasons().map(({ reason, text }) => {
  const [means, what] = text.split(DO);
  if (what === undefined) fail(`${reason} does not say "${DO.trim()}"`);
  return `| \`${reason}\` | ${means} | ${what.replace(/\.$/, "")} |`;
});
const readme = readFileSync(README, "utf8");
if (!TABLE.test(readme)) fail("the README has no place for the table");
const table = ["", "| reason | what it means | what to do |", "|---|---|---|", ...rows, "", ""].join("\n");
const wanted = readme.replace(TABLE, (_, start, end) => `${start}${table}${end}`);
if (write) writeFileSync(README, wanted);
else if (wanted !== readme) fail("the README's table is not that of reason.ts: npm run reasons writes it");
console.log(`reasons: ${rows.length} in the table`);

/** The words of REASONS, but for the one that is none, each with its comment in one line, in the order of WORST_FIRST. */
function readReasons() {
  const text = readFileSync(SOURCE, "utf8");
  const source = ts.createSourceFile(fileURLToPath(SOURCE), text, ts.ScriptTarget.ESNext, true);
  const found = [];
  const order = [];
  const visit = (node) => {
    if (ts.isVariableDeclaration(node) && node.name.text === "REASONS")
      for (const element of node.initializer.expression.elements) {
        const [comment] = ts.getLeadingCommentRanges(text, element.getFullStart()) ?? [];
        if (comment === undefined) fail(`${element.text} has no comment`);
        const lines = text.slice(comment.pos + 3, comment.end - 2).replace(/^\s*\* ?/gm, " ");
        found.push({ reason: element.text, text: lines.replace(/\s+/g, " ").trim() });
      }
    if (ts.isVariableDeclaration(node) && node.name.text === "WORST_FIRST")
      order.push(...node.initializer.elements.map((element) => element.text));
    ts.forEachChild(node, visit);
  };
  visit(source);
  if (found.length === 0) fail("reason.ts has no REASONS");
  const known = found.filter(({ reason }) => reason !== "none");
  const missing = known.find(({ reason }) => !order.includes(reason));
  if (missing !== undefined) fail(`WORST_FIRST lacks ${missing.reason}`);
  return known.sort((one, other) => order.indexOf(one.reason) - order.indexOf(other.reason));
}

function fail(message) {
  console.error(`reasons: ${message}`);
  process.exit(1);
}
