/**
 * Runs the command in this process, with what it prints kept.
 */
import { CommanderError } from "commander";
import { type DoctorIo, doctorCommand } from "#src/cli/command.js";

export interface Run {
  readonly stdout: string;
  readonly stderr: string;
  /** undefined if the options were refused, or help was asked for. */
  readonly code: number | undefined;
}

/** Runs `irqbypass-doctor` with these arguments; a terminal of `columns` if given. */
export async function runDoctor(args: readonly string[], changes: Partial<DoctorIo> = {}): Promise<Run> {
  let stdout = "";
  let stderr = "";
  let code: number | undefined;
  const command = doctorCommand({
    stdout: (text) => {
      stdout += text;
    },
    stderr: (text) => {
      stderr += text;
    },
    columns: undefined,
    colour: false,
    progress: false,
    onInterrupt: () => () => {},
    exit: (given) => {
      code = given;
    },
    ...changes,
  });
  command.exitOverride().configureOutput({
    writeOut: (text) => {
      stdout += text;
    },
    writeErr: (text) => {
      stderr += text;
    },
  });
  try {
    await command.parseAsync([...args], { from: "user" });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
  }
  return { stdout, stderr, code };
}
