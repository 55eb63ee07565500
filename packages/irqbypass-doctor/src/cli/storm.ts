/**
 * `irqbypass-doctor --storm`: the one part that makes something, VMs and irqfds of its own.
 */

import { stormText } from "../report/storm-text.js";
import { LiveSource } from "../source/live.js";
import { openStormKernel } from "../storm/kernel.js";
import { runStorm } from "../storm/storm.js";
import type { DoctorIo, DoctorOptions } from "./io.js";

const DEFAULT_COLUMNS = 100;
const LEAST_COLUMNS = 66;
/** 128 + SIGINT, as shells have it. */
const INTERRUPTED = 130;

/** Runs the storm, prints its report, gives its exit code: 0 no list, 1 the list, 2 could not tell, 130 interrupted. */
export async function storm(options: DoctorOptions, io: DoctorIo, signal: AbortSignal): Promise<number> {
  const progress = io.progress ? (standing: number) => io.stderr(`\r${standing} irqfds `) : undefined;
  const report = await runStorm(
    { upTo: options.storm === true ? undefined : options.storm, force: options.force, signal },
    {
      source: new LiveSource(),
      openKernel: openStormKernel,
      pid: process.pid,
      now: () => performance.now(),
      date: () => new Date(),
      progress,
    },
  ).finally(() => {
    if (io.progress) io.stderr("\r\u001b[K");
  });
  if (options.json === true) io.stdout(`${JSON.stringify(report, undefined, 2)}\n`);
  else io.stdout(stormText(report, Math.max(io.columns ?? DEFAULT_COLUMNS, LEAST_COLUMNS)));
  return report.ended === "interrupted" ? INTERRUPTED : report.exit;
}
