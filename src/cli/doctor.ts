/**
 * `irqbypass doctor`: which interrupts of assigned devices go straight into the guest on this host, and if not, why.
 */
import { Command, InvalidArgumentError } from "commander";

/** What the command needs of its surroundings; the default is the process's own. */
export interface DoctorIo {
  readonly stdout: (text: string) => void;
  readonly stderr: (text: string) => void;
  /** Width of the terminal in columns; undefined where the output is not one. */
  readonly columns: number | undefined;
  readonly colour: boolean;
  /** True if stderr is a terminal, so that progress may be drawn and erased. */
  readonly progress: boolean;
  /** Called once, last, with the exit code. */
  readonly exit: (code: number) => void;
}

/** The options as commander leaves them. */
export interface DoctorOptions {
  readonly pid?: number;
  readonly device?: string;
  readonly interval: number;
  readonly watch?: true;
  readonly json?: true;
  readonly root?: string;
  readonly from?: string;
  readonly capture?: string;
  readonly raw?: true;
  readonly guestReceived?: true;
  readonly writeDevid?: true;
  readonly trace?: number;
  readonly collector?: true;
  readonly prometheus?: true;
  readonly storm?: number | true;
  readonly force?: true;
}

/** The subcommand, for the program's main command to add. */
export function doctorCommand(io: DoctorIo = processIo()): Command {
  return new Command("doctor")
    .description(
      "say which interrupts of assigned devices bypass this host, and what keeps the others from it",
    )
    .option("--pid <pid>", "look at this virtual machine only", wholeNumber)
    .option("--device <bdf>", "look at this device only, such as 0000:3b:00.0")
    .option("--interval <seconds>", "time between the two samples", seconds, 2)
    .option("--watch", "go on, and refresh the report after every interval")
    .option("--json", "print the report as JSON")
    .option("--root <dir>", "read a host that is mounted here, such as /host in a container")
    .option("--from <dir>", "read a capture instead of this host")
    .option("--capture <dir>", "save the files that were read into this new directory")
    .option("--raw", "with --capture: do not mask command lines and names")
    .option("--guest-received", "you saw the guest's own counts of these interrupts grow in the window")
    .option("--write-devid", "on AMD, as root: select each device in debugfs to read its remapping table")
    .option("--trace <seconds>", "as root: follow the tracepoints for this long too", seconds)
    .option("--collector", "print a shell script that makes a capture on a host without Node")
    .option("--prometheus", "print metrics for the textfile collector of node_exporter")
    .option(
      "--storm [count]",
      "measure what assigning and deassigning an irqfd costs, up to this many",
      wholeNumber,
    )
    .option("--force", "with --storm: measure although other processes hold a VM")
    .action(async (options: DoctorOptions) => {
      io.exit(await run(options, io));
    });
}

async function run(options: DoctorOptions, io: DoctorIo): Promise<number> {
  // Each part that is more than a report is one branch here.
  io.stderr(`doctor: nothing to do yet for ${JSON.stringify(options)}\n`);
  return 2;
}

function processIo(): DoctorIo {
  return {
    stdout: (text) => process.stdout.write(text),
    stderr: (text) => process.stderr.write(text),
    columns: process.stdout.columns,
    colour: process.stdout.isTTY === true && process.env["NO_COLOR"] === undefined,
    progress: process.stderr.isTTY === true,
    exit: (code) => {
      process.exitCode = code;
    },
  };
}

function wholeNumber(text: string): number {
  if (!/^[1-9]\d{0,9}$/.test(text)) throw new InvalidArgumentError("It must be a whole number above 0.");
  return Number(text);
}

function seconds(text: string): number {
  const value = Number(text);
  if (text.trim() === "" || !(value >= 0.1 && value <= 3600)) {
    throw new InvalidArgumentError("It must be a number of seconds from 0.1 to 3600.");
  }
  return value;
}
