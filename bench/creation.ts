/**
 * What Host.create() costs cold, that is, as the first thing that a process does with the library, and what the next ones cost:
 *
 *   node bench/build/creation.js [--runs N] [--against CHECKOUT]
 *
 * Each run is a fresh process, and the checkouts take turns. Prints ratios over the first host of the checkout that it is
 * measured against, which has been built; of this one where none is named.
 */
import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { parseArgs } from "node:util";
import { times as inTimes, quantity } from "./harness/format.js";
import { ratio, spread } from "./harness/statistics.js";

const RUNS = 40;
const PROCESS = fileURLToPath(new URL("./threads/creation.js", import.meta.url));
const HERE = fileURLToPath(new URL("../..", import.meta.url));

/** One process's answer. */
interface Run {
  /** Nanoseconds of each Host.create(), in order. */
  readonly times: readonly number[];
  readonly bytes: number;
}

const { values } = parseArgs({ options: { runs: { type: "string" }, against: { type: "string" } } });
const runs = Number(values.runs ?? RUNS);
if (!Number.isInteger(runs) || runs < 1) fail(`--runs ${values.runs}: give a whole number from 1`);
const contestants = [
  ...(values.against === undefined ? [] : [{ name: values.against, entry: entryOf(values.against) }]),
  { name: "this checkout", entry: entryOf(HERE) },
];

const taken = contestants.map(() => [] as Run[]);
for (let run = 0; run < runs; run++) {
  for (const [i, { entry }] of contestants.entries()) {
    const text = execFileSync(process.execPath, [PROCESS, entry], { encoding: "utf8" });
    taken[i]!.push(JSON.parse(text) as Run);
  }
}

const reference = timesOf(taken[0]!, 0);
console.log(
  `Host.create() in ${runs} fresh processes each, Node ${process.version}, in times the first host of`,
);
console.log(`${contestants[0]!.name}: by median (and quartiles), and by the least of all`);
for (const [i, { name }] of contestants.entries()) {
  console.log(`\n${name}: ${(taken[i]![0]!.bytes / 1024).toLocaleString("en-US")} KiB reserved`);
  for (const [number, title] of ["first", "second", "third"].entries())
    printTimes(title, timesOf(taken[i]!, number));
}

function printTimes(title: string, times: readonly number[]): void {
  const { median, low, high } = spread(times);
  const least = Math.min(...times);
  const ns = (value: number) => quantity(value, "ns");
  const typical = `${inTimes(ratio(times, reference)).padStart(6)}  ${ns(median).padStart(7)}`;
  const quartiles = `(${ns(low)} to ${ns(high)})`.padEnd(20);
  const shortest = `${inTimes(least / Math.min(...reference)).padStart(6)}  ${ns(least).padStart(7)}`;
  console.log(`  ${title.padEnd(6)}  ${typical}  ${quartiles}  ${shortest}`);
}

function timesOf(all: readonly Run[], number: number): number[] {
  return all.map(({ times }) => times[number] ?? Number.NaN);
}

/** The library's entry in a checkout, as a URL. */
function entryOf(checkout: string): string {
  const places = ["packages/irqbypass/build/src/index.js", "dist/index.js"]; // the second: before 0.2
  const found = places.map((place) => resolve(checkout, place)).find((place) => existsSync(place));
  return found === undefined
    ? fail(`${checkout} has no ${places.join(" or ")}: build it first`)
    : pathToFileURL(found).href;
}

function fail(text: string): never {
  console.error(`creation: ${text}`);
  process.exit(2);
}
