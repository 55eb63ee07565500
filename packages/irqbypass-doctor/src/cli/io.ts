/**
 * What the doctor's command needs of its surroundings, and its options.
 */

/** The signals that end the command, with the numbers that they add to 128 in the exit code. */
export const END_SIGNALS = { SIGINT: 2, SIGTERM: 15, SIGHUP: 1 } as const;
export type EndSignal = keyof typeof END_SIGNALS;

/** What the command needs of its surroundings; the default is the process's own. */
export interface DoctorIo {
  readonly stdout: (text: string) => void;
  readonly stderr: (text: string) => void;
  /** Width of the terminal in columns; undefined where the output is not one. */
  readonly columns: number | undefined;
  readonly colour: boolean;
  /** True if stderr is a terminal, so that progress may be drawn and erased. */
  readonly progress: boolean;
  /** Calls `stop` on Ctrl-C or a request to end; gives the function that stops listening. */
  readonly onInterrupt: (stop: (signal: EndSignal) => void) => () => void;
  /** Called once, last, with the exit code. */
  readonly exit: (code: number) => void;
}

/** The columns of a text for what is no terminal. */
const DEFAULT_COLUMNS = 100;

/** The columns that a text may take. */
export function columnsOf({ columns = DEFAULT_COLUMNS }: DoctorIo): number {
  return columns;
}

/** The options as commander leaves them. */
export interface DoctorOptions {
  readonly pid?: number;
  readonly device?: string;
  readonly interval: number;
  readonly watch?: true;
  /** Seconds. */
  readonly for?: number;
  readonly json?: true;
  readonly root?: string;
  readonly from?: string;
  readonly capture?: string;
  readonly raw?: true;
  readonly guestReceived?: true;
  readonly writeDevid?: true;
  readonly trace?: number;
  readonly traceFrom?: string;
  readonly collector?: true;
  readonly prometheus?: true;
  readonly storm?: number | true;
  readonly compare?: readonly string[];
  readonly force?: true;
}

/** The surroundings of this process. */
export function processIo(): DoctorIo {
  const columns = Number(process.env.COLUMNS);
  return {
    stdout: (text) => process.stdout.write(text),
    stderr: (text) => process.stderr.write(text),
    columns: process.stdout.columns ?? (columns > 0 ? columns : undefined),
    colour:
      process.stdout.isTTY === true && (process.env.NO_COLOR ?? "") === "" && process.env.TERM !== "dumb",
    progress: process.stderr.isTTY === true,
    onInterrupt: (stop) => {
      const signals = Object.keys(END_SIGNALS) as EndSignal[];
      for (const signal of signals) process.on(signal, stop);
      return () => {
        for (const signal of signals) process.off(signal, stop);
      };
    },
    exit: (code) => {
      process.exitCode = code;
    },
  };
}
