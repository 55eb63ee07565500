// Holds docs/semantics.md to the tests: the rules are numbered without a gap, and each names a test that exists. The twins
// of docs/the-series.md likewise.
import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../packages/irqbypass", import.meta.url));
const problems = [];
const sources = new Map();

/** Is there a test, a suite or a proof of this name? A name that ends in a space is the beginning of one. */
function named(file, name) {
  if (!sources.has(file)) sources.set(file, readFileSync(`${root}/${file}`, "utf8"));
  const text = sources.get(file);
  const ends = name.endsWith(" ") || name.endsWith("(") ? [""] : ['"', "`", ":"];
  return ['"', "`"].some((quote) => ends.some((end) => text.includes(`${quote}${name}${end}`)));
}

/** The sections that the rules come from. */
const SECTIONS = {
  1: [1, 2, 3, 4, 5, 6],
  2: [1, 2, 3, 4, 5, 6, 7, 8],
  3: [1, 2, 3, 4, 5, 6, 7],
  4: [0],
  5: [0],
  6: [1, 2, 3, 4, 5, 6],
  7: [0],
  8: [1, 2, 3, 4],
  9: [0],
  10: [0],
};
const wanted = Object.entries(SECTIONS).flatMap(([part, sections]) =>
  sections.map((section) => `${part}.${section}`),
);

const rules = readFileSync(`${root}/docs/semantics.md`, "utf8")
  .split("\n")
  .filter((line) => /^\| \d/.test(line))
  .map((line) =>
    line
      .split("|")
      .slice(1, -1)
      .map((cell) => cell.trim()),
  );

let previous = "";
const found = new Set();
for (const cells of rules) {
  const id = cells[0].replace(" †", "");
  if (cells.length !== 5) problems.push(`${id}: has ${cells.length} cells, not 5`);
  const section = id.slice(0, id.lastIndexOf("."));
  const number = Number(id.slice(id.lastIndexOf(".") + 1));
  const before = previous.startsWith(`${section}.`) ? Number(previous.slice(section.length + 1)) : 0;
  if (number !== before + 1) problems.push(`${id}: comes after ${previous || "nothing"}`);
  previous = id;
  found.add(section);
  const [, inLinux, , here, heldBy = ""] = cells;
  if (!inLinux || !here) problems.push(`${id}: says nothing of Linux, or of this project`);
  const tests = [...heldBy.matchAll(/`(test\/[^`]+)`: "([^"]+)"/g)];
  if (tests.length === 0) problems.push(`${id}: names no test`);
  for (const [, file, name] of tests) {
    if (!existsSync(`${root}/${file}`)) problems.push(`${id}: ${file} is not there`);
    else if (!named(file, name)) problems.push(`${id}: ${file} has no test "${name}"`);
  }
  if (cells[0].includes("†") && !heldBy.includes("test/kernel/"))
    problems.push(`${id}: † without a test on a real kernel`);
}
for (const section of wanted) if (!found.has(section)) problems.push(`${section}: has no rule`);

let twins = 0;
for (const line of readFileSync(`${root}/docs/the-series.md`, "utf8").split("\n")) {
  const match = /`patch \d: ([^`]+)` \|$/.exec(line);
  if (match === null) continue;
  twins++;
  const files = ["test/history/series.ts", "test/history/a-manager.ts"];
  if (!files.some((file) => named(file, match[1])))
    problems.push(`the-series.md: there is no test "${match[1]}"`);
}
if (twins < 8) problems.push(`the-series.md: ${twins} twins for 8 patches`);

for (const problem of problems) console.error(problem);
console.log(`semantics: ${rules.length} rules, ${twins} twins of the series, ${problems.length} problems`);
process.exit(problems.length === 0 ? 0 : 1);
