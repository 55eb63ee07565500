/**
 * `irqbypass-doctor --storm`: the one part that makes something, VMs and irqfds of its own.
 */

import { stormText } from "../report/storm-text.js";
import { LiveSource } from "../source/live.js";
import { openStormKernel } from "../storm/kernel.js";
import { runStorm, type StormReport } from "../storm/storm.js";
import { columnsOf, type DoctorIo, type DoctorOptions } from "./io.js";
import type { Output } from "./output.js";

const LEAST_COLUMNS = 66;

/** Runs the storm, prints its report, gives its exit code: 0 no list, 1 the list, 2 could not tell. */
export async function storm(
  options: DoctorOptions,
  io: DoctorIo,
  output: Output,
  signal: AbortSignal,
): Promise<number> {
  const report = await measureStorm(options, output, signal);
  if (options.json === true) output.json(report);
  else output.report(stormText(report, stormColumns(io)));
  return report.exit;
}

/** The columns that its texts fill. */
export function stormColumns(io: DoctorIo): number {
  return Math.max(columnsOf(io), LEAST_COLUMNS);
}

/** Runs the storm on this host. */
export async function measureStorm(
  options: DoctorOptions,
  output: Output,
  signal: AbortSignal,
): Promise<StormReport> {
  return await runStorm(
    { upTo: options.storm === true ? undefined : options.storm, force: options.force, signal },
    {
      source: new LiveSource(),
      openKernel: openStormKernel,
      pid: process.pid,
      now: () => performance.now(),
      date: () => new Date(),
      progress: (standing) => output.progress(`${standing} irqfds`),
    },
  ).finally(() => output.progressed());
}
