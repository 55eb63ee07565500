#!/usr/bin/env node
/**
 * The `irqbypass-doctor` command.
 */
import { doctorCommand } from "./command.js";

// `irqbypass-doctor --json | head`: a reader that has seen enough is no error. What else breaks stdout is.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code !== "EPIPE") throw error;
});

await doctorCommand().parseAsync(process.argv.slice(2), { from: "user" });
