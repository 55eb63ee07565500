import { readdir, writeFile } from "node:fs/promises";
import { basename, dirname, relative, resolve, sep } from "node:path";
import { pathToFileURL } from "node:url";
import { ExplorerError, show } from "../error.js";
import type { Scenario } from "../search/scenario.js";
import { parseSchedule } from "../search/schedule.js";
import type { Detail } from "./chart.js";
import { type Replay, replay } from "./replay.js";
import { type Subject, subjectsOf } from "./report.js";

const EXTENSION = ".mjs";

/** A scenario file: its path, and what it is called in names. */
export interface ScenarioFile {
  readonly path: string;
  readonly name: string;
}

/**
 * What `wanted` names: a file by its path (`./mine.mjs`), or of those in `folder` a file, a scenario or a twin (`mutex`,
 * `mutex/death`, `mutex/death/waits-for-ever`), each with what belongs to it. Everything of the folder if it names nothing.
 * @throws ExplorerError for a name that nothing has, for a file that is no scenario file, and where there is nothing.
 */
export async function subjects(wanted: readonly string[], folder?: string): Promise<Subject[]> {
  if (!Array.isArray(wanted))
    throw new ExplorerError(`${show(wanted)} names no scenarios: give an array of names`);
  for (const name of Array.from(wanted as readonly string[])) checkText(name, "the name of a scenario");
  if (folder !== undefined) checkText(folder, "the path of a folder of scenario files");
  if (wanted.length === 0) {
    if (folder === undefined)
      throw new ExplorerError("nothing to explore: name a scenario file, or a folder of them");
    return (await Promise.all((await filesOf(folder)).map(readSubjects))).flat();
  }
  const found: Subject[] = [];
  for (const name of wanted) {
    const own = isPath(name);
    if (!own && folder === undefined)
      throw new ExplorerError(
        `${name} is no path: write ./${name}, or say in which folder of scenario files it is`,
      );
    const [path, part = ""] = own ? split(name) : ["", ""];
    const among = own ? [{ path: resolve(path), name: path }] : await filesOf(folder!);
    const files = own ? among : among.filter((file) => file.name === name.split("/")[0]);
    const all = (await Promise.all(files.map(readSubjects))).flat();
    const prefix = own ? `${path}${part && `/${part}`}` : name;
    const matching = all.filter(
      (subject) => subject.name === prefix || subject.name.startsWith(`${prefix}/`),
    );
    if (matching.length === 0)
      throw unknown(
        name,
        all.length > 0 ? all.map((subject) => subject.name) : among.map((file) => file.name),
      );
    found.push(...matching);
  }
  return found;
}

/** The scenario files of a folder; what they share lies in folders below it. */
async function filesOf(folder: string): Promise<ScenarioFile[]> {
  let names: string[];
  try {
    names = await readdir(folder);
  } catch (cause) {
    throw new ExplorerError(`cannot read ${folder}: ${(cause as Error).message}`, { cause });
  }
  const files = names.filter((name) => name.endsWith(EXTENSION)).sort();
  if (files.length === 0)
    throw new ExplorerError(`${folder} has no scenario files: their names end in ${EXTENSION}`);
  return files.map((name) => ({ path: resolve(folder, name), name: basename(name, EXTENSION) }));
}

/** The subject of a replay id, and its schedule. @throws ExplorerError for an id that names nothing. */
export async function subjectOfReplay(
  id: string,
  folder?: string,
): Promise<{
  /** What the id names. */
  subject: Subject;
  /** Its schedule, which {@link parseSchedule} reads. */
  schedule: string;
}> {
  checkText(id, "a replay id");
  const colon = id.lastIndexOf(":");
  if (colon < 0) throw new ExplorerError(`${id} is not a replay id: copy it from the report of a violation`);
  const name = id.slice(0, colon);
  const subject = (await subjects([name], folder)).find((one) => one.name === name);
  if (subject === undefined)
    throw new ExplorerError(`${name} names several scenarios: a replay id names one`);
  return { subject, schedule: id.slice(colon + 1) };
}

/** Runs the schedule of a replay id. Throws EINVAL where it is none, and where it does not fit the scenario any more. */
export async function replayId(id: string, detail: Detail = "steps", folder?: string): Promise<Replay> {
  const { subject, schedule } = await subjectOfReplay(id, folder);
  return replay(subject.setup, subject.settings, parseSchedule(schedule), detail);
}

/** Writes a test that runs one schedule and holds it to what it showed: that it fails, or ends well. */
export async function saveTest(
  file: string,
  id: string,
  message: string | undefined,
  folder = ".",
): Promise<void> {
  const colon = id.lastIndexOf(":");
  const name = id.slice(0, colon);
  const own = isPath(name);
  const [scenarios, part = ""] = own ? split(name) : [folder, ""];
  const path =
    relative(dirname(resolve(file)), resolve(scenarios))
      .split(sep)
      .join("/") || ".";
  const there = `fileURLToPath(new URL(${JSON.stringify(path)}, import.meta.url))`;
  const replayed = own
    ? `\`\${${there}}${JSON.stringify(`/${part}${id.slice(colon)}`).slice(1, -1)}\``
    : JSON.stringify(id);
  await writeFile(
    file,
    `// One schedule of ${name}, as a test: node --test ${basename(file)}
import assert from "node:assert/strict";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { replayId } from "atomics-explorer";

test(${JSON.stringify(`${name}, schedule ${id.slice(colon + 1)}`)}, async () => {
  const { violation } = await replayId(${replayed}${own ? "" : `, "steps", ${there}`});
  assert.equal(violation, ${message === undefined ? "undefined" : JSON.stringify(message)});
});
`,
  );
}

function checkText(value: unknown, what: string): void {
  if (typeof value === "string") return;
  throw new ExplorerError(`${show(value)} was passed: pass ${what}`);
}

async function readSubjects(file: ScenarioFile): Promise<Subject[]> {
  let exported: Record<string, unknown>;
  try {
    exported = (await import(pathToFileURL(file.path).href)) as Record<string, unknown>;
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new ExplorerError(`cannot load ${file.path}: ${why}`, { cause });
  }
  return Object.entries(exported).flatMap(([name, value]) => {
    if (!isScenario(value)) {
      throw new ExplorerError(
        `${name} in ${file.path} is no scenario: it needs a sentence, a setup, and twins with a sentence and a setup each`,
      );
    }
    return subjectsOf(`${file.name}/${name}`, value);
  });
}

function isScenario(value: unknown): value is Scenario {
  const { sentence, setup, twins } = (value ?? {}) as Partial<Scenario>;
  const made = (one: { sentence?: unknown; setup?: unknown } | null) =>
    typeof one?.sentence === "string" && typeof one.setup === "function";
  if (!made({ sentence, setup }) || typeof twins !== "object" || twins === null) return false;
  const all = Object.values(twins);
  return all.length > 0 && all.every(made);
}

function isPath(name: string): boolean {
  return name.startsWith(".") || name.startsWith("/") || name.includes(EXTENSION) || name.includes("\\");
}

/** A path to a file and what follows it. */
function split(name: string): [path: string, part: string] {
  const end = name.lastIndexOf(EXTENSION) + EXTENSION.length;
  return end < EXTENSION.length ? [name, ""] : [name.slice(0, end), name.slice(end + 1)];
}

function unknown(name: string, known: readonly string[]): ExplorerError {
  return new ExplorerError(
    `there is no scenario ${name}: use one of ${known.join(", ")}, or the path of a file`,
  );
}
