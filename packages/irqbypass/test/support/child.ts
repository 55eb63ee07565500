/** A process of its own for a test, so that what ends a process is seen as what it is. */
import { type ChildProcess, spawn } from "node:child_process";
import { fileURLToPath } from "node:url";

/** How a process ended, and what it said. */
export interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly out: string;
  readonly errors: string;
}

/** Far more than any of them needs: a process that hangs is killed then, and its end says so. */
const PATIENCE_MS = 120_000;

/** Runs a module of the tests with these arguments. `said` is called with each piece of its output. */
export function runChild(
  module: URL,
  args: readonly string[],
  said: (text: string, child: ChildProcess) => void = () => {},
  patienceMs = PATIENCE_MS,
): Promise<Ended> {
  const child = spawn(process.execPath, [fileURLToPath(module), ...args]);
  let out = "";
  let errors = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    out += text;
    said(text, child);
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    errors += text;
  });
  const hang = setTimeout(() => child.kill("SIGKILL"), patienceMs);
  return new Promise((resolve) => {
    child.once("close", (code, signal) => {
      clearTimeout(hang);
      resolve({ code, signal, out, errors });
    });
  });
}
