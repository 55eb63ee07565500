/** Prints the table of bugs, a line each, and how many have each standing. With --details also what the tests say. */
import { BUGS, type Bug, bugProofs, countStandings } from "./bugs.js";

const INDENT = 21;
const width = Math.min(process.stdout.columns ?? 110, 110) - INDENT;

for (const bug of BUGS) {
  console.log(`${bug.id.padEnd(5)}${bug.standing.padEnd(INDENT - 5)}${bug.was}`);
  if (!process.argv.includes("--details")) continue;
  for (const sentence of details(bug)) console.log(wrapped(sentence));
  console.log();
}
const counts = [...countStandings()].map(([standing, count]) => `${count} ${standing}`);
console.log(`\n${counts.join(" + ")} = ${BUGS.length} bugs`);

function details({ id, standing, here, scenario }: Bug): string[] {
  const proof = bugProofs.find((one) => one.id === id);
  return [
    here === undefined ? "" : `${standing === "analogue" ? "Here" : "Because"}: ${here}.`,
    proof === undefined ? "" : `Holds: ${proof.sentence}.`,
    proof === undefined ? "" : `Fails on a twin that ${[...proof.twins.keys()].join("; ")}.`,
    scenario === undefined ? "" : `Every interleaving: npm run explore ${scenario}`,
  ].filter((sentence) => sentence !== "");
}

function wrapped(sentence: string): string {
  const lines: string[] = [];
  for (const word of sentence.split(" ")) {
    const last = lines.at(-1);
    if (last === undefined || last.length + 1 + word.length > width) lines.push(word);
    else lines[lines.length - 1] = `${last} ${word}`;
  }
  return lines.map((line) => `${" ".repeat(INDENT)}${line}`).join("\n");
}
