/**
 * `--collector`: the shell script that takes a capture on a host without Node. It stands beside this file's source as
 * `collector.sh`, so that it can be read, checked and run as what it is.
 */
import { readFileSync } from "node:fs";

/** The text of the script. Blocks shortly. */
export function collectorScript(): string {
  return readFileSync(new URL("../../../src/source/collector.sh", import.meta.url), "utf8");
}
