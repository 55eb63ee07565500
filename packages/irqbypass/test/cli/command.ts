/** The command as a process of its own. */
import { type ChildProcess, spawn } from "node:child_process";

export interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly out: string;
  readonly error: string;
}

export interface Running {
  readonly process: ChildProcess;
  readonly ended: Promise<Ended>;
  /** Resolves when standard output has this text. */
  says(text: string): Promise<void>;
}

export interface Setting {
  /** Given on standard input. */
  readonly workload?: unknown;
  /** For the twin: see twin/main.ts. Without it the real program runs. */
  readonly twin?: Readonly<Record<string, string>>;
}

/** Starts the command. */
export function start(args: readonly string[], { workload, twin }: Setting = {}): Running {
  const program = twin === undefined ? "build/src/cli/main.js" : "build/test/cli/twin/main.js";
  const child = spawn(process.execPath, [program, ...args], { env: { ...process.env, ...twin } });
  child.stdin.on("error", () => {}); // a command that refuses its arguments reads nothing
  child.stdin.end(workload === undefined ? "" : JSON.stringify(workload));
  let out = "";
  let error = "";
  const waiting = new Map<string, () => void>();
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    out += text;
    for (const [wanted, resolve] of waiting) if (out.includes(wanted)) resolve();
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    error += text;
  });
  const ended = new Promise<Ended>((resolve) => {
    child.once("close", (code, signal) => resolve({ code, signal, out, error }));
  });
  const says = (text: string): Promise<void> =>
    Promise.race([
      new Promise<void>((resolve) => {
        waiting.set(text, resolve);
        if (out.includes(text)) resolve();
      }),
      ended.then((end) => {
        if (!end.out.includes(text)) throw new Error(`it ended without "${text}": ${end.out}${end.error}`);
      }),
    ]);
  return { process: child, ended, says };
}

/** Runs the command to its end. */
export function runCommand(args: readonly string[], setting?: Setting): Promise<Ended> {
  return start(args, setting).ended;
}

/** A workload with one VM and one device. */
export function oneDevice(
  vm: { kind?: "software" | "kvm"; vcpus?: number },
  device: { vectors?: number; burst?: number; rate?: number | "max"; bypass?: string },
  seconds = 1,
) {
  return {
    seconds,
    vms: [{ name: "web", kind: "software", vcpus: 1, ...vm }],
    devices: [{ name: "nic0", kind: "nic", vm: "web", vectors: 2, burst: 1, rate: "max", ...device }],
  };
}
