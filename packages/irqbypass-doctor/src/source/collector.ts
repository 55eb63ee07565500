/**
 * `--collector`: the shell script that takes a capture on a host without Node. It stands beside this file's source as
 * `collector.sh`, so that it can be read, checked and run as what it is; the list of rights is put in here.
 */
import { readFileSync } from "node:fs";
import { rightsText } from "./rights.js";

/** The text of the script. Blocks shortly. */
export function collectorScript(): string {
  const text = readFileSync(
    new URL("src/source/collector.sh", import.meta.resolve("irqbypass-doctor/package.json")),
    "utf8",
  );
  return text.replace("@RIGHTS@\n", () => rightsText(false));
}
