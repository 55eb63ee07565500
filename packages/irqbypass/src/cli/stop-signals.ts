/**
 * Ctrl-C, and the other polite ways to end a process.
 */
import { showCursor } from "./painter.js";

const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

/** Aborted by the first stop signal; disposed when nobody needs to stop any more. */
export interface StopSignals extends Disposable {
  readonly signal: AbortSignal;
  /** As if a stop signal had come: nobody reads the output any more. */
  stop(): void;
}

/**
 * Catches stop signals until it is disposed. The first one aborts; the second ends the process at once, by the
 * signal itself, so that the shell sees what happened and no thread can hold it up.
 */
export function catchStopSignals(): StopSignals {
  const controller = new AbortController();
  const release = (): void => {
    for (const signal of SIGNALS) process.off(signal, onSignal);
  };
  const onSignal = (signal: NodeJS.Signals): void => {
    if (!controller.signal.aborted) {
      controller.abort();
      return;
    }
    release();
    showCursor();
    process.kill(process.pid, signal);
  };
  for (const signal of SIGNALS) process.on(signal, onSignal);
  return { signal: controller.signal, stop: () => controller.abort(), [Symbol.dispose]: release };
}
