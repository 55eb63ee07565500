/**
 * `irqbypass run`: VMs and devices on real threads, and every interrupt's way.
 */
import { Command, InvalidArgumentError } from "commander";
import { WorkloadError } from "./file-schema.js";
import { introduction } from "./live.js";
import { totals } from "./result.js";
import type { BuildMachine } from "./run/machine.js";
import { session } from "./run/session.js";
import { catchStopSignals } from "./stop-signals.js";
import { runStorm } from "./storm/storm.js";
import type { Storm } from "./storm/storm-file.js";
import { stormIntroduction } from "./storm/summary.js";
import { chooseStormView } from "./storm/view.js";
import { line } from "./style.js";
import { chooseView, type Streams } from "./view.js";
import { MAX_SECONDS, MIN_SECONDS } from "./workload.js";
import { DEFAULT_WORKLOAD, readWorkload } from "./workload-file.js";

export interface RunOptions {
  /** How long the devices signal; otherwise as the workload says. */
  readonly seconds?: number;
  /** `false`: leave KVM guests out. */
  readonly kvm: boolean;
  readonly json: boolean;
}

const HELP = `
The workload file is one JSON object:
  {
    "seconds": 5,
    "vms":     [{ "name": "web", "kind": "software", "vcpus": 1 }],
    "devices": [{ "name": "nic0", "kind": "nic", "vm": "web", "vectors": 4, "burst": 8, "rate": "max",
                  "bypass": "prefer", "overrides": [{ "interrupts": [3], "burst": 1, "bypass": "off" }] }]
  }
A VM is "software" or "kvm"; "reroute": 10 sends the MSIs of a software VM to the next vCPU every 10 ms. A "nic" has
"vectors", a "block" device has "queues", an "intx" device one level-triggered line. "burst" is how many signals it
sends before it waits for the guest, "rate" how many per second for each interrupt. "bypass" is "off", "prefer"
(the default) or "require". "overrides" give some interrupts of a device a burst, rate or bypass of their own.

Another kind of file shows what creating and destroying VMs takes, first with nothing else on the host, then beside
so many standing VMs; each has so many irqfds, and the threads share the VMs of a round:
  { "storm": { "standing": 800, "irqfds": 15, "vms": 20, "rounds": 30, "threads": 2 } }

Examples:
  irqbypass run                      the default example
  irqbypass run my.json              a workload of your own; "-" reads it from standard input
  irqbypass run --seconds 30         longer; Ctrl-C ends it with the summary
  irqbypass run --no-kvm             software VMs only
  irqbypass run --json > run.json    one JSON object, nothing else on standard output

Exit codes: 0 nothing was lost, 1 something was or the run failed, 2 the command line or the file is wrong.`;

/** The command for the program. Its action sets `process.exitCode`. */
export function runCommand(build: BuildMachine): Command {
  return new Command("run")
    .summary("run VMs and devices on real threads and show every interrupt's way")
    .description(
      "Runs the VMs and devices of a workload file on real threads and shows the way of every interrupt: posted, " +
        "injected, irqfd or relayed. Every interrupt that a guest did not see within two seconds is named as lost.",
    )
    .argument("[workload]", "a workload file; without one, the default example")
    .option("-s, --seconds <n>", "how long the devices signal (default: as the file says)", parseSeconds)
    .option("--no-kvm", "leave KVM guests out")
    .option("--json", "print one JSON object at the end, and nothing else", false)
    .addHelpText("after", HELP)
    .action(async (path: string | undefined, options: RunOptions) => {
      const streams = { out: process.stdout, error: process.stderr };
      process.exitCode = await run(path ?? DEFAULT_WORKLOAD, options, streams, build);
    });
}

/**
 * Runs one workload.
 * @returns the exit code: 0, or 1 when an interrupt was lost or the run was stopped before it began.
 * @throws {WorkloadError} for a file that is none, and what building or running the machine failed with.
 */
export async function run(
  path: string,
  options: RunOptions,
  streams: Streams,
  build: BuildMachine,
): Promise<number> {
  const workload = readWorkload(path);
  if ("standing" in workload) return await storm(path, workload, options, streams);
  const seconds = options.seconds ?? workload.seconds;
  const stop = catchStopSignals();
  // Nobody reads any more: as good as Ctrl-C.
  process.stdout.once("error", stop.stop);
  const view = chooseView(options.json, streams, process.env);
  try {
    const machine = await build(workload, { kvm: options.kvm, signal: stop.signal });
    try {
      view.begin(introduction(path === DEFAULT_WORKLOAD ? "the default example" : path, machine.wiring()));
      for (const reason of machine.leftOut) view.note(line(reason));
      const result = await session(machine, view, seconds, stop.signal);
      await machine.close();
      view.end(result);
      return totals(result.interrupts).lost === 0 ? 0 : 1;
    } finally {
      await machine.close();
    }
  } catch (error) {
    if (!stop.signal.aborted || error !== stop.signal.reason) throw error;
    view.note(line("stopped before the devices began"));
    return 1;
  } finally {
    view.close();
    process.stdout.off("error", stop.stop);
    stop[Symbol.dispose]();
  }
}

/** Runs a storm. Returns and throws as {@link run}. */
async function storm(path: string, workload: Storm, options: RunOptions, streams: Streams): Promise<number> {
  if (options.seconds !== undefined)
    throw new WorkloadError(path, ["--seconds: a storm lasts for its rounds; allowed: to leave it out"]);
  const stop = catchStopSignals();
  process.stdout.once("error", stop.stop);
  const view = chooseStormView(options.json, streams, process.env);
  try {
    view.begin(stormIntroduction(path, workload));
    view.end(await runStorm(workload, stop.signal, view.progress));
    return 0;
  } finally {
    view.close();
    process.stdout.off("error", stop.stop);
    stop[Symbol.dispose]();
  }
}

function parseSeconds(text: string): number {
  const value = text.trim() === "" ? Number.NaN : Number(text);
  if (value >= MIN_SECONDS && value <= MAX_SECONDS) return value;
  throw new InvalidArgumentError(`Allowed: a number from ${MIN_SECONDS} to ${MAX_SECONDS}.`);
}
