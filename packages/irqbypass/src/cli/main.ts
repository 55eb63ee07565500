#!/usr/bin/env node
/**
 * The `irqbypass` command.
 */
import { execute } from "./program.js";
import { machineBuilder } from "./run/build.js";

// `irqbypass run --json | head`: a reader that has seen enough is no error. What else breaks stdout is.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code !== "EPIPE") throw error;
});

// Not process.exit(): what was written to a pipe must still get there.
process.exitCode = await execute(process.argv.slice(2), machineBuilder());
