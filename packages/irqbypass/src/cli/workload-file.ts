/**
 * Reading a workload file from disk or standard input.
 */
import { readFileSync } from "node:fs";
import { WorkloadError } from "./file-schema.js";
import { findJsonFault } from "./json-fault.js";
import { packageFile } from "./package-file.js";
import { checkStorm, describesStorm, type Storm } from "./storm/storm-file.js";
import { checkWorkload, type Workload } from "./workload.js";

/** The example that runs when no file is named; it is shipped with the package. */
export const DEFAULT_WORKLOAD = packageFile("examples/default.json");

/**
 * Reads and checks a workload file. Blocks while it reads.
 * @param path a file, or `-` for standard input.
 * @throws {WorkloadError} when there is no such file, it is not JSON, or it is no workload.
 */
export function readWorkload(path: string): Workload | Storm {
  const source = path === "-" ? "standard input" : path;
  return parseWorkload(readText(path, source), source);
}

/** Parses and checks the text of a workload file; `source` is how messages call it. Errors as {@link readWorkload}. */
export function parseWorkload(text: string, source: string): Workload | Storm {
  const json = text.charCodeAt(0) === 0xfeff ? text.slice(1) : text;
  const input = parseJson(json, source);
  return describesStorm(input) ? checkStorm(input, source) : checkWorkload(input, source);
}

function readText(path: string, source: string): string {
  try {
    return readFileSync(path === "-" ? 0 : path, "utf8");
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? String(error);
    const sentence = UNREADABLE[code] ?? `it cannot be read (${code})`;
    throw new WorkloadError(source, [
      `${sentence}; name a JSON file, "-" for standard input, or no file for the default example`,
    ]);
  }
}

const UNREADABLE: Readonly<Record<string, string>> = {
  ENOENT: "there is no such file",
  EISDIR: "it is a directory",
  EACCES: "there is no permission to read it",
};

function parseJson(text: string, source: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    const fault = findJsonFault(text);
    if (fault === undefined) throw error;
    const { line, column, found, expected } = fault;
    throw new WorkloadError(`${source}:${line}:${column}`, [
      `line ${line}, column ${column}: found ${found}; allowed: ${expected}`,
    ]);
  }
}
