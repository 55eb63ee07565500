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

/** Ends so many threads. Throws where the process dies, or something is lost or left; returns what there was. */
export async function endThreads({ seed, ends, each }: Ends): Promise<string> {
  const args = [seed, ends, each].map(String);
  const child = new URL("./main.js", import.meta.url);
  const { code, signal, out, errors } = await runChild(child, args, () => {}, MS_PER_END * ends);
  const last = errors.trimEnd().split("\n").slice(-60).join("\n");
  assert.deepEqual([code, signal], [0, null], last);
  const { counts, interrupts, handled } = JSON.parse(out) as Seen;
  assert.equal(
    ENDINGS.reduce((sum, name) => sum + (counts[name] ?? 0), 0),
    ends,
  );
  if (ends >= 300) for (const name of [...WAITS.slice(0, -1), ...ENDINGS]) assert.ok(counts[name], name);
  assert.ok(interrupts > 0 && handled > 0);
  return `${ends} threads ended; ${interrupts + handled} interrupts of others beside them, none lost`;
}
