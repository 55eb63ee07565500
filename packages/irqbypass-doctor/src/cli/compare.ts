/**
 * `irqbypass-doctor --compare`: two reports of `--storm --json` side by side, or one with this host as it is now.
 */
import { closeSync, constants, fstatSync, openSync, readFileSync } from "node:fs";
import { comparisonText } from "../report/comparison-text.js";
import { DoctorError, FormatError } from "../source/error.js";
import { compareStorms, type NamedStorm } from "../storm/compare.js";
import { parseStorm } from "../storm/saved-storm.js";
import type { DoctorIo, DoctorOptions } from "./io.js";
import type { Output } from "./output.js";
import { measureStorm, stormColumns } from "./storm.js";

/** The longest report that is read: one of a million irqfds has 20 KB. */
const LONGEST = 1024 * 1024;

/** Compares, prints, gives the exit code: 0 an assign costs no more than before, 1 more, 2 could not tell. */
export async function compare(
  options: DoctorOptions,
  files: readonly string[],
  io: DoctorIo,
  output: Output,
  signal: AbortSignal,
): Promise<number> {
  const [first, second, ...more] = files;
  if (first === undefined || more.length > 0)
    throw new DoctorError("EINVAL", `--compare takes one report or two, not ${files.length}`);
  if (second !== undefined && (options.storm !== undefined || options.force === true))
    throw new DoctorError(
      "EINVAL",
      "--compare with two reports measures nothing: leave --storm and --force out",
    );
  const before = readStorm(first);
  const after = second === undefined ? await now(options, before, output, signal) : readStorm(second);
  const comparison = compareStorms(before, after);
  if (options.json === true) output.json(comparison);
  else output.report(comparisonText(comparison, stormColumns(io)));
  return comparison.verdict.exit;
}

/** Up to the count that was measured before, if no other is asked for. */
async function now(
  options: DoctorOptions,
  { storm }: NamedStorm,
  output: Output,
  signal: AbortSignal,
): Promise<NamedStorm> {
  const upTo = options.storm === undefined ? storm.steps.at(-1)?.count : options.storm;
  const report = await measureStorm({ ...options, storm: upTo ?? true }, output, signal);
  return { from: "this host, now", storm: parseStorm(JSON.stringify(report)) };
}

/** @throws DoctorError EINVAL for a file that is no such report; ENOENT, EACCES and the like. */
function readStorm(path: string): NamedStorm {
  const text = readText(path);
  try {
    return { from: path, storm: parseStorm(text) };
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    throw new DoctorError("EINVAL", `${path}: ${error.message}; make it with --storm --json`, error);
  }
}

function readText(path: string): string {
  let fd: number | undefined;
  try {
    fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    const stat = fstatSync(fd);
    if (!stat.isFile() || stat.size > LONGEST)
      throw new DoctorError("EINVAL", `${path} is no report of --storm --json: give a file that it printed`);
    return readFileSync(fd, "utf8");
  } catch (error) {
    if (error instanceof DoctorError) throw error;
    const code = error instanceof Error && "code" in error ? String(error.code) : "EIO";
    throw new DoctorError(
      code === "ENOENT" || code === "EACCES" || code === "EPERM" ? code : "EIO",
      `${path} cannot be read (${code}): give a file that --storm --json printed`,
      error,
    );
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}
