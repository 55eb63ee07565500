/** Runs a part of the fuzz in a thread of its own, so that a call that hangs can be told of. */
import { parentPort, workerData } from "node:worker_threads";
import { Victim } from "./attach.js";
import { Random } from "./random.js";
import { type Outcome, run, type Work } from "./run.js";
import { FromCallback } from "./values.js";
import { tryWorkload } from "./workloads.js";

/** Damaged memory and workload files are no entries of a world. */
export interface Part extends Omit<Work, "kind"> {
  readonly kind: Work["kind"] | "attach" | "workload";
  /** Two words: cases done, and the number of the entry that is being called. */
  readonly progress: SharedArrayBuffer;
}

const MOST_CHOICES = 40;

async function work(part: Part): Promise<Outcome> {
  const progress = new Int32Array(part.progress);
  const numbers = new Map(part.surface.entries.map(({ name }, number) => [name, number]));
  const tell = (name: string) => {
    Atomics.store(progress, 1, numbers.get(name) ?? -1);
    Atomics.add(progress, 0, 1);
  };
  if (part.kind !== "attach" && part.kind !== "workload") return run({ ...part, kind: part.kind }, tell);
  const victim = new Victim();
  const calls: Record<string, { all: number; refused: number }> = {};
  for (let number = 0; number < part.cases; number++) {
    tell(part.kind);
    const random = new Random(part.seed + number * MOST_CHOICES);
    try {
      const outcome: string =
        part.kind === "attach" ? victim.attach(random) : tryWorkload(random) ? "accepted" : "refused";
      const name = `${part.kind}: ${outcome}`;
      const counter = calls[name] ?? { all: 0, refused: 0 };
      calls[name] = counter;
      counter.all += 1;
      if (outcome === "refused") counter.refused += 1;
    } catch (error) {
      const said = error instanceof Error ? error.stack : String(error);
      return { calls, failures: [`${part.kind}, case ${number}, seed ${part.seed}: ${said}`] };
    }
  }
  return { calls, failures: [] };
}

// A callback that is called later, by `arm` for one, throws where nobody awaits it: the caller's own error.
process.on("unhandledRejection", (error) => {
  if (!(error instanceof FromCallback)) throw error;
});

parentPort?.postMessage(await work(workerData as Part));
process.exit(); // timers of hosts that were not disposed
