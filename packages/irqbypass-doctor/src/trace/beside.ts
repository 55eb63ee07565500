/**
 * A trace beside the two samples. They are taken in its last seconds, so that a VM that is started while it runs is in
 * the report.
 */
import type { AbortSignalLike } from "../source/source.js";
import type { TraceFacts } from "../source/trace-facts.js";
import { followTrace, processTraceIo } from "./trace.js";

/** A trace that runs. */
export interface Tracing {
  /** When the first sample should be taken, so that the second falls on the trace's end. Rejects if the trace does. */
  readonly window: Promise<void>;
  /** What was seen, at its end. */
  readonly facts: Promise<TraceFacts>;
  /** Ends it if it still runs, and waits until nothing of it is left. */
  close(): Promise<void>;
}

export interface BesideOptions {
  /** The host's root directory. */
  readonly root: string;
  readonly seconds: number;
  /** Between the two samples, at the trace's end. */
  readonly interval: number;
  readonly signal: AbortSignalLike | undefined;
  /** Called some times a second, with the seconds that are left, until the window opens. */
  readonly progress: (secondsLeft: number) => void;
  /** Called when events are recorded. */
  readonly started: () => void;
}

/**
 * Starts to follow.
 * @throws DoctorError where there is no tracing file system; other refusals come by the promises.
 */
export function traceBeside(options: BesideOptions): Tracing {
  const surroundings = processTraceIo(options.root);
  const end = new AbortController();
  const abort = () => end.abort();
  options.signal?.addEventListener("abort", abort, { once: true });
  if (options.signal?.aborted === true) abort();
  let openWindow: () => void = () => {};
  const opened = new Promise<void>((resolve) => {
    openWindow = resolve;
  });
  const progress = (left: number) => {
    if (left <= options.interval) openWindow();
    else options.progress(left);
  };
  const facts = followTrace(
    { seconds: options.seconds, signal: end.signal, progress, started: options.started },
    surroundings,
  );
  const window = Promise.race([opened, facts.then(() => {})]);
  // Whoever waits for them gets the error; until then it is not lost, and no defect.
  for (const promise of [facts, window]) promise.catch(() => {});
  return {
    window,
    facts,
    async close() {
      options.signal?.removeEventListener("abort", abort);
      end.abort();
      await facts.catch(() => {});
    },
  };
}
