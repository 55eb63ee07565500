/** The process of one contestant: `node contestant.js SUITE CONTESTANT PARAMETERS`. */
import { createInterface } from "node:readline";
import { suites } from "../suites/index.js";
import type { Answer } from "./process.js";
import { type Parameters, Unavailable } from "./suite.js";

const say = (answer: Answer) => process.stdout.write(`${JSON.stringify(answer)}\n`);

async function main([suiteName, name, parameters]: readonly string[]): Promise<void> {
  const suite = suites.find((one) => one.name === suiteName);
  const prepare = suite?.contestants[name ?? ""];
  if (typeof prepare !== "function")
    throw new Error(`suite ${suiteName} has no contestant "${name}" to run here`);
  const round = await prepare(JSON.parse(parameters ?? "{}") as Parameters);
  say({});
  for await (const _ of createInterface({ input: process.stdin })) say(await round());
}

try {
  await main(process.argv.slice(2));
} catch (error) {
  if (error instanceof Unavailable) say({ unavailable: error.message });
  else say({ error: error instanceof Error ? (error.stack ?? error.message) : String(error) });
}
// Threads of a contestant may still sleep; they have nothing to lose.
process.stdout.write("", () => process.exit());
