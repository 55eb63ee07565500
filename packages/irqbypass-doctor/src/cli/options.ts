/**
 * Which options make sense together. An option that is ignored is taken for obeyed, so each is named here for what
 * takes it, and refused for the others.
 */
import type { Command } from "commander";
import { DoctorError } from "../source/error.js";
import { openSaved } from "../source/saved.js";
import type { DoctorOptions } from "./io.js";

type Name = keyof DoctorOptions;

/** What the command does, by the first of these options that is given; the last row is for none of them. */
const MODES: readonly { readonly option?: Name; readonly does: string; readonly takes: readonly Name[] }[] = [
  { option: "collector", does: "--collector prints a script and reads nothing", takes: [] },
  {
    option: "compare",
    does: "--compare measures as --storm does, or reads two reports, and compares",
    takes: ["storm", "force", "json"],
  },
  {
    option: "storm",
    does: "--storm measures this host's kernel and reports nothing else",
    takes: ["force", "json"],
  },
  {
    option: "from",
    does: "--from reads a capture and no running host",
    takes: ["pid", "device", "json", "prometheus", "guestReceived", "interval", "raw", "traceFrom"],
  },
  {
    does: "",
    takes: [
      ...(["pid", "device", "interval", "watch", "json", "root", "capture", "raw", "guestReceived"] as const),
      ...(["writeDevid", "trace", "traceFrom", "prometheus", "force", "for"] as const),
    ],
  },
];

/** Pairs of which only one can be. */
const EITHER: readonly (readonly [Name, Name, string])[] = [
  ["json", "prometheus", "give --json or --prometheus, not both"],
  ["watch", "capture", "--capture saves two samples, and --watch takes more: leave one of them out"],
  ["watch", "prometheus", "--prometheus writes one sample, and --watch takes more: leave one of them out"],
  ["watch", "traceFrom", "--trace-from is of one time, and --watch goes on: leave one of them out"],
  ["trace", "traceFrom", "--trace records a trace, and --trace-from reads one: leave one of them out"],
];

/** Options that are about another one. */
const ABOUT: readonly (readonly [Name, readonly Name[], string])[] = [
  ["force", ["storm", "compare"], "--force is about --storm and --compare: give one of them too"],
  ["raw", ["capture"], "--raw is about --capture: give both"],
  ["for", ["watch"], "--for is about --watch: give both"],
];

/**
 * Refuses options that contradict each other, or that would be ignored, before anything is read.
 * @throws DoctorError EINVAL naming them.
 */
export function refuseNonsense(command: Command): void {
  const options = command.opts<DoctorOptions>();
  const given = command.options.filter(
    (option) => command.getOptionValueSource(option.attributeName()) === "cli",
  );
  const has = (name: Name) => given.some((option) => option.attributeName() === name);
  const refuse = (message: string): never => {
    throw new DoctorError("EINVAL", message);
  };
  const mode = MODES.find(({ option }) => option === undefined || has(option))!;
  for (const option of given) {
    const name = option.attributeName() as Name;
    if (name !== mode.option && !mode.takes.includes(name)) refuse(`${mode.does}: leave ${option.long} out`);
  }
  for (const [one, other, why] of EITHER) if (has(one) && has(other)) refuse(why);
  for (const [one, others, why] of ABOUT) if (has(one) && !others.some(has)) refuse(why);
  if (options.for !== undefined && options.for < options.interval)
    refuse(
      `--for ${options.for} s is shorter than one --interval of ${options.interval} s: give a longer one`,
    );
  if (options.from !== undefined && has("interval")) {
    const { about, close } = openSaved(options.from);
    close();
    refuse(`--from reads a capture, whose window is ${about.seconds.toFixed(1)} s: leave --interval out`);
  }
}

/** Refuses a second value of one option, of which the first would be forgotten. */
export function refuseTwice(command: Command): Command {
  for (const option of command.options) {
    if ((!option.required && !option.optional) || option.variadic) continue;
    let seen = false;
    command.on(`option:${option.name()}`, () => {
      if (seen) command.error(`error: option '${option.flags}' is given twice: one value can be used`);
      seen = true;
    });
  }
  return command;
}
