/** The ends of threads, in a process of its own: what aborts a process is a failure of that run. */
import assert from "node:assert/strict";
import { runChild } from "../support/child.js";
import { ENDINGS, WAITS } from "./work.js";

/** Against hangs only. */
const MS_PER_END = 2000;

export interface Ends {
  readonly seed: number;
  readonly ends: number;
  /** How many of them come between two looks at the memory. */
  readonly each: number;
}

interface Seen {
  readonly counts: Readonly<Record<string, number>>;
  readonly interrupts: number;
  readonly handled: number;
}

/** What it died of, before what its threads did last: a log is cut at its end. */
function lastWords(errors: string): string {
  const lines = errors.trimEnd().split("\n");
  const isStep = (line: string) => /^\d: /.test(line);
  return [...lines.filter((line) => !isStep(line)).slice(0, 60), ...lines.filter(isStep).slice(-10)].join(
    "\n",
  );
}

/** Ends so many threads. Throws where the process dies, or something is lost or left; returns what there was. */
export async function endThreads({ seed, ends, each }: Ends): Promise<string> {
  const args = [seed, ends, each].map(String);
  const child = new URL("./main.js", import.meta.url);
  const { code, signal, out, errors } = await runChild(child, args, () => {}, MS_PER_END * ends);
  assert.deepEqual([code, signal], [0, null], `ended with ${code ?? signal}:\n${lastWords(errors)}`);
  const { counts, interrupts, handled } = JSON.parse(out) as Seen;
  assert.equal(
    ENDINGS.reduce((sum, name) => sum + (counts[name] ?? 0), 0),
    ends,
  );
  if (ends >= 300) for (const name of [...WAITS.slice(0, -1), ...ENDINGS]) assert.ok(counts[name], name);
  assert.ok(interrupts > 0 && handled > 0);
  return `${ends} threads ended; ${interrupts + handled} interrupts of others beside them, none lost`;
}
