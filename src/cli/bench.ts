/**
 * `irqbypass bench`: the benchmark of the repository, which the package brings along compiled.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { Command } from "commander";

const MAIN = fileURLToPath(new URL("../../build/bench/main.js", import.meta.url));

/** The command for the program; it hands its arguments on as they are. Its action sets `process.exitCode`. */
export function benchCommand(): Command {
  return new Command("bench")
    .summary("measure, beside what people use instead and beside C")
    .description(
      "Measures what the package costs on this machine. irqbypass bench --help lists suites and options.",
    )
    .usage("[suite...] [options]")
    .argument("[arguments...]")
    .helpOption(false)
    .allowUnknownOption()
    .action(async (args: string[]) => {
      process.exitCode = await runBench(args);
    });
}

/** Runs it in a process of its own. Returns its exit code; throws where it is not there. */
async function runBench(args: readonly string[]): Promise<number> {
  if (!existsSync(MAIN))
    throw new Error(
      `the benchmark is not there (${MAIN}): run npm run build in a checkout, or install the package again`,
    );
  const child = spawn(process.execPath, [MAIN, ...args], { stdio: "inherit" });
  // Ctrl-C reaches both: the benchmark cleans up, and this waits for it.
  const wait = () => {};
  process.on("SIGINT", wait);
  try {
    const [code] = (await once(child, "exit")) as [number | null];
    return code ?? 1;
  } finally {
    process.off("SIGINT", wait);
  }
}
