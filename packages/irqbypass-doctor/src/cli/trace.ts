/**
 * `irqbypass-doctor --trace`: follows the tracepoints beside the two samples. The samples are taken in the trace's
 * last seconds, so that a VM that is started while it runs is in the report.
 */

import type { TraceFacts } from "../source/trace-facts.js";
import { followTrace, processTraceIo } from "../trace/trace.js";
import type { DoctorIo, DoctorOptions } from "./io.js";

/** A trace that runs. */
export interface Tracing {
  /** When the first sample should be taken, so that the second falls on the trace's end. Rejects if the trace does. */
  readonly window: Promise<void>;
  /** What was seen, at its end. */
  readonly facts: Promise<TraceFacts>;
  /** Ends it if it still runs, and waits until nothing of it is left. */
  close(): Promise<void>;
}

/**
 * Starts to follow for `seconds`.
 * @throws DoctorError where there is no tracing file system; other refusals come by the promises.
 */
export function trace(seconds: number, options: DoctorOptions, io: DoctorIo, signal: AbortSignal): Tracing {
  const surroundings = processTraceIo(options.root ?? "/");
  const end = new AbortController();
  const both = AbortSignal.any([signal, end.signal]);
  let openWindow: () => void = () => {};
  const opened = new Promise<void>((resolve) => {
    openWindow = resolve;
  });
  const progress = (left: number) => {
    if (left <= options.interval) openWindow();
    else if (io.progress) io.stderr(`\rtracing for ${left.toFixed(1)} s more `);
  };
  const started = () => io.stderr(`irqbypass-doctor: tracing for ${seconds} s, start the VM now\n`);
  const facts = followTrace({ seconds, signal: both, progress, started }, surroundings);
  const window = Promise.race([opened, facts.then(() => {})]);
  // Whoever waits for them gets the error; until then it is not lost, and no defect.
  for (const promise of [facts, window]) promise.catch(() => {});
  return {
    window,
    facts,
    async close() {
      end.abort();
      await facts.catch(() => {});
    },
  };
}
