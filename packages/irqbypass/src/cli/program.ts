/**
 * The command line: which commands there are, and what a mistake in using them gets.
 */
import { Command, type CommanderError } from "commander";
import { WorkloadError } from "./file-schema.js";
import { packageVersion } from "./package-file.js";
import type { BuildMachine } from "./run/machine.js";
import { runCommand } from "./run.js";

/** What the process ends with. */
export const EXIT = {
  ok: 0,
  /** An interrupt was lost, or the run could not be made. */
  failed: 1,
  /** The command line or the workload file is wrong. */
  usage: 2,
} as const;

/** What was a command of 0.1, and where it is now. */
const MOVED: Readonly<Record<string, string>> = {
  explore: "the package atomics-explorer: npx atomics-explorer FILE",
  doctor: "the package irqbypass-doctor: npx irqbypass-doctor",
  bench: "a checkout of the project: npm run bench",
};

/** Says in one line where a command went; exit code 2. */
function movedCommand(name: string, where: string): Command {
  return new Command(name)
    .argument("[arguments...]")
    .helpOption(false)
    .allowUnknownOption()
    .action(() => {
      process.stderr.write(`irqbypass: ${name} is in ${where}\n`);
      process.exitCode = EXIT.usage;
    });
}

/** @param build what `run` makes its machine with. */
export function createProgram(build: BuildMachine): Command {
  const program = new Command("irqbypass")
    .description(
      "Interrupts from devices straight into virtual CPUs, across threads and into real KVM guests.",
    )
    .version(packageVersion(), "-V, --version", "print the version")
    .helpCommand("help [command]", "show the help of a command")
    .addCommand(runCommand(build))
    .addHelpText(
      "after",
      `
Examples:
  irqbypass run                        the default example: five seconds, a live table, a summary
  irqbypass run my.json --seconds 30   a workload of your own, for half a minute
  irqbypass run --json | jq .totals    one JSON object

Exit codes: 0 all is well, 1 an interrupt was lost or the command failed, 2 wrong usage.`,
    );
  for (const [name, where] of Object.entries(MOVED))
    program.addCommand(movedCommand(name, where), { hidden: true });
  for (const command of [program, ...program.commands]) {
    command.exitOverride((error) => {
      throw new UsageError(error, allowedAt(command, error));
    });
  }
  return program;
}

/**
 * Runs one command line, without the interpreter and the script's name. Errors become a message on stderr.
 * @returns the exit code; see {@link EXIT}.
 */
export async function execute(args: readonly string[], build: BuildMachine): Promise<number> {
  try {
    const program = createProgram(build);
    await program.parseAsync([...args], { from: "user" });
    return Number(process.exitCode ?? EXIT.ok);
  } catch (error) {
    if (error instanceof UsageError) {
      // Help and version end this way too.
      if (error.exitCode === 0) return EXIT.ok;
      if (error.allowed !== "") process.stderr.write(`${error.allowed}\n`);
      return EXIT.usage;
    }
    if (error instanceof WorkloadError) {
      process.stderr.write(`irqbypass: ${error.message}\n`);
      return EXIT.usage;
    }
    process.stderr.write(`irqbypass: ${describe(error)}\n`);
    return EXIT.failed;
  }
}

/** What commander refused, and a sentence that says what it takes instead. */
class UsageError extends Error {
  readonly exitCode: number;
  readonly allowed: string;

  constructor(cause: CommanderError, allowed: string) {
    super(cause.message, { cause });
    this.exitCode = cause.exitCode;
    this.allowed = allowed;
  }
}

function allowedAt(command: Command, error: CommanderError): string {
  const help = command.createHelp();
  switch (error.code) {
    case "commander.unknownCommand":
      return `Allowed: ${help
        .visibleCommands(command)
        .map((one) => one.name())
        .join(", ")}. See irqbypass --help.`;
    case "commander.unknownOption":
      return `Allowed: ${help
        .visibleOptions(command)
        .map((one) => one.long ?? one.flags)
        .join(", ")}. See ${path(command)} --help.`;
    case "commander.excessArguments":
    case "commander.optionMissingArgument":
      return `Allowed: ${path(command)} ${command.usage()}`;
    default:
      return "";
  }
}

function path(command: Command): string {
  return command.parent === null ? command.name() : `${path(command.parent)} ${command.name()}`;
}

/** A refusal by its sentence; anything unforeseen with its stack, which is what a bug report needs. */
function describe(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return "code" in error ? error.message : (error.stack ?? error.message);
}
