import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import type { JsonResult } from "irqbypass/internal/cli/result.js";
import type { Prepare, Suite } from "../harness/suite.js";

const command = fileURLToPath(import.meta.resolve("irqbypass/internal/cli/main.js"));
const execute = promisify(execFile);

/** Title of the trial. */
export const DEFAULT_EXAMPLE = "examples/default.json";

/** `irqbypass run` of the default example, in a process of its own. */
const run: Prepare = ({ seconds = 1 }) => {
  const file = fileURLToPath(new URL(`../../../packages/irqbypass/${DEFAULT_EXAMPLE}`, import.meta.url));
  return async () => {
    const args = [command, "run", file, "--seconds", String(seconds), "--json"];
    const { stdout } = await execute(process.execPath, args, { maxBuffer: 2 ** 26 });
    const { totals } = JSON.parse(stdout) as JsonResult;
    if (totals.lost > 0) throw new Error(`${totals.lost} interrupts were lost`);
    return {
      values: {
        each: (totals.seconds * 1e9) / totals.signals,
        signals: totals.signals / totals.seconds,
        delivered: totals.delivered / totals.seconds,
      },
    };
  };
};

export const runSuite: Suite = {
  name: "run",
  about:
    "The command irqbypass run with an example: everything at once, devices, vCPUs and relays on threads of their own that share the cores.",
  measures: [
    { key: "each", title: "time per signal", unit: "ns" },
    { key: "signals", title: "signals", unit: "per second" },
    { key: "delivered", title: "delivered", unit: "per second" },
  ],
  contestants: { "irqbypass run": run },
  trials: (quick) => [
    {
      title: DEFAULT_EXAMPLE,
      parameters: { seconds: quick ? 0.5 : 1.5 },
      contestants: ["irqbypass run"],
    },
  ],
  notes: [
    "Time per signal is that of the whole run, over all of its signals: those that became part of an interrupt that was pending already are counted, those that a handler ran for are delivered. A run that lost one is an error.",
  ],
};
