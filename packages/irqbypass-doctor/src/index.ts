/**
 * Looks at a KVM host and says which device interrupts go straight into the guest, and what keeps the others from it.
 *
 *     import { inspectHost, textReport } from "irqbypass-doctor";
 *
 *     const report = await inspectHost({ interval: 5 });
 *     if (report.verdict.exit !== 0) console.error(textReport(report, { width: 100, colour: false }));
 *
 * A report is plain data, made of what others chose as well: names of processes and devices, texts of files. Print it
 * with one of the printers below, which let no control character through.
 *
 * @packageDocumentation
 */
import { type InspectOptions, inspect } from "./judge/inspect.js";
import type { Report } from "./judge/report.js";

export type { InspectOptions } from "./judge/inspect.js";
export type {
  Advice,
  ChainLink,
  CounterReport,
  DeviceReport,
  EventfdReport,
  Evidence,
  ExitCode,
  LinkName,
  LinkState,
  MissingSource,
  Report,
  VectorReport,
  Verdict,
  VmReport,
} from "./judge/report.js";
export { VERDICTS } from "./judge/report.js";
export type { Use, WatchedInterrupt } from "./judge/track.js";
export type { WatchReport } from "./judge/watch.js";
export type { TextOptions } from "./report/page.js";
export { prometheusText } from "./report/prometheus.js";
export { textReport } from "./report/text.js";
export type { Container } from "./rules/containers.js";
export { DoctorError, type DoctorErrorCode } from "./source/error.js";
export type { AbortSignalLike } from "./source/source.js";
export { visible, visibleJson } from "./source/visible.js";
export type { ComparedCost, ComparedSide, KeptIn, Ratio, StormComparison } from "./storm/compare.js";
export type { ConsumerRegistration, Growth, StormVerdict } from "./storm/judge.js";
export type { PairCost, Spread, StormEnd, StormStep } from "./storm/steps.js";
export type { StormReport } from "./storm/storm.js";

/**
 * Inspects this host, a host that is mounted somewhere, or a capture, and gives the report that `irqbypass-doctor --json`
 * prints; `report.verdict.exit` is the command's exit code. Reads and changes nothing, unless `trace` or `writeDevid` is
 * given. Blocks shortly while files are read (about a second on a host with a million descriptors) and waits between the
 * samples; may be called from any thread, several times at once too. Sees more as root, and never needs to be.
 * @throws DoctorError EINVAL for options that make no sense, or a file that is no capture; ENOENT where there is no
 * host, no such VM or no such device; EACCES, EPERM and ENOENT where `trace` or `writeDevid` cannot be; E2BIG or EFBIG
 * for a tree of more than a host has; EINTR when `signal` aborts.
 *
 * @example
 * ```ts
 * import { inspectHost } from "irqbypass-doctor";
 *
 * const report = await inspectHost({ interval: 1 });
 * console.log(report.format); // irqbypass-doctor/1
 * ```
 */
export async function inspectHost(options: InspectOptions = {}): Promise<Report> {
  return (await inspect(options)).report;
}
