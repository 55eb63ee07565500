#!/usr/bin/env node
/**
 * The `irqbypass-doctor` command.
 */
import { doctorCommand } from "./command.js";
import { CANNOT_TELL } from "./inspection.js";
import { processIo } from "./io.js";
import { Output } from "./output.js";

// `irqbypass-doctor --json | head`: a reader that has seen enough is no error. What else breaks stdout is.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code !== "EPIPE") throw error;
});

// A defect is no finding: its code is not that of "one interrupt cannot be posted", and what it quotes is made visible.
process.on("uncaughtException", (error) => {
  new Output(processIo()).complain(`irqbypass-doctor: a defect of the doctor:\n${error.stack ?? error}\n`);
  process.exit(CANNOT_TELL);
});

await doctorCommand().parseAsync(process.argv.slice(2), { from: "user" });
