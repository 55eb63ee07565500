import assert from "node:assert/strict";
import { Worker } from "node:worker_threads";
import type { Outcome } from "./run.js";
import { readSurface, type Surface } from "./surface.js";
import type { Part } from "./worker.js";

/** No case takes longer than this, unless it hangs. */
const PATIENCE_MS = 30_000;

let surface: Surface | undefined;

/** Runs so many cases of one kind, and fails with what went wrong and the seed. Returns the calls of each entry. */
export async function fuzz(kind: Part["kind"], cases: number, seed: number): Promise<Outcome["calls"]> {
  surface ??= readSurface();
  const progress = new SharedArrayBuffer(8);
  const part: Part = { surface, kind, cases, seed, progress };
  const worker = new Worker(new URL("./worker.js", import.meta.url), { workerData: part });
  const { calls, failures } = await new Promise<Outcome>((resolve, reject) => {
    let last = -1;
    const watch = setInterval(() => {
      const [done = 0, entry = -1] = new Int32Array(progress);
      if (done !== last) {
        last = done;
        return;
      }
      const name = surface?.entries[entry]?.name ?? kind;
      reject(new Error(`case ${done} hangs, in ${name}; IRQBYPASS_FUZZ_SEED=${seed}`));
      void worker.terminate();
    }, PATIENCE_MS);
    worker.once("message", resolve);
    worker.once("error", reject);
    worker.once("exit", (code) => {
      clearInterval(watch);
      reject(new Error(`the thread ended with ${code}; IRQBYPASS_FUZZ_SEED=${seed}`));
    });
  });
  assert.deepEqual(failures, [], `${failures.join("\n")}\nIRQBYPASS_FUZZ_SEED=${seed} has it again`);
  return calls;
}

/** The calls in one line: how many, of how many entries, and how many of them were refused. */
export function summary(calls: Outcome["calls"]): string {
  const all = Object.values(calls);
  const sum = (of: "all" | "refused") => all.reduce((total, one) => total + one[of], 0);
  const least = Math.min(...all.map((one) => one.all));
  return `${sum("all")} cases of ${all.length} entries, each ${least} times or more, ${sum("refused")} refused`;
}
