#!/usr/bin/env node
/**
 * The `atomics-explorer` command.
 */
import { CommanderError } from "commander";
import { ExplorerError } from "../error.js";
import { createProgram } from "./command.js";

/** The command line is wrong, or names what cannot be explored. */
const USAGE = 2;

// `atomics-explorer --list | head`: a reader that has seen enough is no error. What else breaks stdout is.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code !== "EPIPE") throw error;
});

try {
  await createProgram()
    .exitOverride()
    .showHelpAfterError("See atomics-explorer --help.")
    .parseAsync(process.argv.slice(2), { from: "user" });
} catch (error) {
  if (error instanceof CommanderError) process.exitCode = error.exitCode === 0 ? 0 : USAGE;
  else if (error instanceof ExplorerError) {
    process.stderr.write(`atomics-explorer: ${error.message}\n`);
    process.exitCode = USAGE;
  } else throw error;
}
