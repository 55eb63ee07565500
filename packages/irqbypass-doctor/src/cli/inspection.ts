/**
 * The command's inspections: one, or one after the other with --watch.
 */
import { inspect } from "../judge/inspect.js";
import type { Report } from "../judge/report.js";
import { Watch } from "../judge/watch.js";
import { prometheusText } from "../report/prometheus.js";
import { textReport } from "../report/text.js";
import { watchText } from "../report/watch-text.js";
import { Capture } from "../source/capture.js";
import { NewTree } from "../source/new-tree.js";
import { columnsOf, type DoctorIo, type DoctorOptions } from "./io.js";
import { Output } from "./output.js";

/** Exit code of a report that could not tell, and of options that make no sense. */
export const CANNOT_TELL = 2;
const LEAST_SECONDS = 0.1;

/** One report, printed; gives its exit code. */
export async function inspectOnce(
  options: DoctorOptions,
  io: DoctorIo,
  output: Output,
  signal: AbortSignal,
): Promise<number> {
  const report = await once(options, output, signal);
  print(report, options, io, output);
  return report.verdict.exit;
}

/** One report, with a trace beside it and a capture of it if those were asked for. */
async function once(options: DoctorOptions, output: Output, signal: AbortSignal): Promise<Report> {
  let capture: Capture | undefined;
  let tree: NewTree | undefined;
  try {
    const { report, trace } = await inspect(
      { ...options, interval: options.from === undefined ? options.interval : undefined, signal },
      {
        through: (sampling) => {
          if (options.capture === undefined) return sampling;
          capture = new Capture(sampling);
          return capture;
        },
        looked: () => {
          if (options.capture !== undefined) tree = new NewTree(options.capture);
        },
        waiting: (left) => output.progress(`second sample in ${left.toFixed(1)} s`),
        waited: () => output.progressed(),
        tracing: (left) => output.progress(`tracing for ${left.toFixed(1)} s more`),
        traceStarted: () =>
          output.say(`tracing for ${options.trace} s, start the VM now${lateCheck(options)}`),
        wrote: (what) => output.say(`--write-devid ${what}`),
      },
    );
    if (capture !== undefined && tree !== undefined) {
      const masked = options.raw !== true;
      const count = capture.save(tree, { masked, at: report.measured.at, trace });
      output.say(`saved ${count} files in ${options.capture}, ${masked ? "masked" : "not masked"}`);
    }
    return report;
  } finally {
    tree?.close();
  }
}

/** A VM may start while the trace runs. */
function lateCheck({ pid, device }: DoctorOptions): string {
  const named = [...(pid === undefined ? [] : ["--pid"]), ...(device === undefined ? [] : ["--device"])];
  return named.length === 0 ? "" : `; what ${named.join(" and ")} names is looked for at its end`;
}

/** Reports until interrupted, or for as long as asked; then it says what the whole run did. */
export async function watch(
  options: DoctorOptions,
  io: DoctorIo,
  output: Output,
  signal: AbortSignal,
): Promise<number> {
  const end = performance.now() + (options.for ?? Number.POSITIVE_INFINITY) * 1000;
  const run = new Watch();
  // Whoever asked for the end of it, and does not look on, gets the last report and not hundreds.
  const quiet = options.for !== undefined && options.json !== true && io.columns === undefined;
  let last: Report | undefined;
  // Progress is drawn until the first report stands there, and would only flicker under it afterwards.
  let drawn = output;
  try {
    for (;;) {
      const left = (end - performance.now()) / 1000;
      if (signal.aborted || left < LEAST_SECONDS) break;
      const report = await once({ ...options, interval: Math.min(options.interval, left) }, drawn, signal);
      run.add(report);
      last = report;
      if (options.json !== true) output.clear();
      if (!quiet) print(report, options, io, output);
      drawn = new Output({ ...io, progress: false });
    }
  } finally {
    // Whoever ends it early wants to know what was seen until then.
    if (quiet && last !== undefined) print(last, options, io, output);
    if (options.for !== undefined) conclude(run, options, io, output);
  }
  return (options.for === undefined ? last : run.report())?.verdict.exit ?? CANNOT_TELL;
}

/** Prints what the run says, if there was a look. */
function conclude(run: Watch, options: DoctorOptions, io: DoctorIo, output: Output): void {
  const report = run.report();
  if (report === undefined) return;
  if (options.json === true) output.json(report, true);
  else output.report(`\n${watchText(report, { width: columnsOf(io), colour: io.colour })}`);
}

function print(report: Report, options: DoctorOptions, io: DoctorIo, output: Output): void {
  if (options.json === true) output.json(report, options.watch === true);
  else if (options.prometheus === true) output.lines(prometheusText(report));
  else output.report(textReport(report, { width: columnsOf(io), colour: io.colour }));
}
