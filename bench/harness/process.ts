import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import type { Compiler } from "./native.js";
import { type Parameters, type Sample, type Suite, Unavailable } from "./suite.js";

const contestantModule = fileURLToPath(new URL("./contestant.js", import.meta.url));
/** No answer for so long is a hang, not a slow machine. */
const PATIENCE_MS = 120_000;

/** What a contestant writes, one JSON object a line: `{}` when it is ready, then one sample for each line it reads. */
export type Answer = Partial<Sample> & {
  /** It cannot take part, and why. */
  readonly unavailable?: string;
  /** It failed: a defect. */
  readonly error?: string;
};

/** The process of one contestant. */
export class ContestantProcess implements AsyncDisposable {
  private readonly child: ChildProcessWithoutNullStreams;
  private readonly lines: AsyncIterator<string>;
  private complaints = "";

  private constructor(
    readonly name: string,
    command: string,
    args: readonly string[],
  ) {
    this.child = spawn(command, args);
    this.child.stderr.on("data", (data: Buffer) => {
      this.complaints += data.toString();
    });
    this.child.stdin.on("error", () => {}); // it has ended: the missing answer says so
    this.child.on("error", (error) => {
      this.complaints += error.message;
    });
    this.lines = createInterface({ input: this.child.stdout })[Symbol.asyncIterator]();
  }

  /** Starts it and waits until it is ready. Rejects with {@link Unavailable} where it cannot take part here. */
  static async start(
    suite: Suite,
    name: string,
    parameters: Parameters,
    compiler: Compiler,
  ): Promise<ContestantProcess> {
    const contestant = suite.contestants[name];
    if (contestant === undefined) throw new Error(`suite ${suite.name} has no contestant "${name}"`);
    const started =
      typeof contestant === "function"
        ? new ContestantProcess(name, process.execPath, [
            contestantModule,
            suite.name,
            name,
            JSON.stringify(parameters),
          ])
        : new ContestantProcess(name, await compiler.compile(contestant.source), [
            ...contestant.arguments(parameters),
          ]);
    try {
      await started.answer();
      return started;
    } catch (error) {
      await started[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Asks for one round. */
  async round(): Promise<Sample> {
    this.child.stdin.write("round\n");
    const { values, latencies } = await this.answer();
    if (values === undefined) throw new Error(`${this.name} gave no values`);
    return latencies === undefined ? { values } : { values, latencies };
  }

  private async answer(): Promise<Answer> {
    const watchdog = setTimeout(() => {
      this.complaints += `no answer within ${PATIENCE_MS / 1000} s`;
      this.child.kill("SIGKILL");
    }, PATIENCE_MS);
    const line = await this.lines.next();
    clearTimeout(watchdog);
    if (line.done === true)
      throw new Error(`${this.name} ended: ${this.complaints.trim() || "no reason given"}`);
    const answer = JSON.parse(line.value) as Answer;
    if (answer.unavailable !== undefined) throw new Unavailable(answer.unavailable);
    if (answer.error !== undefined) throw new Error(`${this.name}: ${answer.error}`);
    return answer;
  }

  /** Lets it end by closing its input, and kills it if it does not. */
  async [Symbol.asyncDispose](): Promise<void> {
    const { child } = this;
    if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return;
    const ended = new Promise((resolve) => child.once("exit", resolve));
    child.stdin.end();
    const impatience = setTimeout(() => child.kill("SIGKILL"), 2000);
    await ended;
    clearTimeout(impatience);
  }
}
