import { readdir, writeFile } from "node:fs/promises";
import { basename, dirname, relative, resolve, sep } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { show } from "../host/argument.js";
import { IrqBypassError } from "../host/errors.js";
import type { Detail } from "./chart.js";
import { type Replay, replay } from "./replay.js";
import { type Subject, subjectsOf } from "./report.js";
import type { Scenario } from "./scenario.js";
import { parseSchedule } from "./schedule.js";

const SCENARIOS = fileURLToPath(new URL("../../scenarios/", import.meta.url));
const EXTENSION = ".mjs";
/** Files of `scenarios/` that hold no scenario. */
const HELPERS = new Set(["support.mjs", "support-death.mjs"]);

/** A scenario file: its path, and what it is called in names. */
export interface ScenarioFile {
  readonly path: string;
  readonly name: string;
}

/** The files of the package. */
export async function shippedFiles(): Promise<ScenarioFile[]> {
  const names = (await readdir(SCENARIOS)).filter((name) => name.endsWith(EXTENSION) && !HELPERS.has(name));
  return names.sort().map((name) => ({ path: SCENARIOS + name, name: basename(name, EXTENSION) }));
}

/**
 * What `wanted` names: a file of one's own (`./mine.mjs`), or of the package's a file, a scenario or a twin (`mutex`,
 * `mutex/death`, `mutex/death/waits-for-ever`), each with what belongs to it. Everything of the package if it names nothing.
 * Throws EINVAL for a name that nothing has, and for a file that is no scenario file.
 */
export async function subjects(wanted: readonly string[]): Promise<Subject[]> {
  if (!Array.isArray(wanted))
    throw new IrqBypassError("EINVAL", `${show(wanted)} names no scenarios: give an array of names`);
  for (const name of Array.from(wanted as readonly string[])) checkText(name, "the name of a scenario");
  const shipped = await shippedFiles();
  if (wanted.length === 0) return (await Promise.all(shipped.map(readSubjects))).flat();
  const found: Subject[] = [];
  for (const name of wanted) {
    const own = isPath(name);
    const [path, part = ""] = own ? split(name) : ["", ""];
    const files = own
      ? [{ path: resolve(path), name: path }]
      : shipped.filter((file) => file.name === name.split("/")[0]);
    const all = (await Promise.all(files.map(readSubjects))).flat();
    const prefix = own ? `${path}${part && `/${part}`}` : name;
    const matching = all.filter(
      (subject) => subject.name === prefix || subject.name.startsWith(`${prefix}/`),
    );
    if (matching.length === 0)
      throw unknown(
        name,
        all.length > 0 ? all.map((subject) => subject.name) : shipped.map((file) => file.name),
      );
    found.push(...matching);
  }
  return found;
}

/** The subject of a replay id, and its schedule. Throws EINVAL for an id that names nothing. */
export async function subjectOfReplay(id: string): Promise<{ subject: Subject; schedule: string }> {
  checkText(id, "a replay id");
  const colon = id.lastIndexOf(":");
  if (colon < 0)
    throw new IrqBypassError("EINVAL", `${id} is not a replay id: copy it from the report of a violation`);
  const name = id.slice(0, colon);
  const subject = (await subjects([name])).find((one) => one.name === name);
  if (subject === undefined)
    throw new IrqBypassError("EINVAL", `${name} names several scenarios: a replay id names one`);
  return { subject, schedule: id.slice(colon + 1) };
}

/** Runs the schedule of a replay id. Throws EINVAL where it is none, and where it does not fit the scenario any more. */
export async function replayId(id: string, detail: Detail = "steps"): Promise<Replay> {
  const { subject, schedule } = await subjectOfReplay(id);
  return replay(subject.setup, subject.settings, parseSchedule(schedule), detail);
}

/** Writes a test that runs one schedule and holds it to what it showed: that it fails, or ends well. */
export async function saveTest(file: string, id: string, message: string | undefined): Promise<void> {
  const colon = id.lastIndexOf(":");
  const name = id.slice(0, colon);
  const own = isPath(name);
  const wanted = own ? "file, part" : "";
  const fixed = own ? split(name) : undefined;
  const path =
    fixed === undefined
      ? ""
      : relative(dirname(resolve(file)), resolve(fixed[0]))
          .split(sep)
          .join("/");
  const expected = message === undefined ? "undefined" : JSON.stringify(message);
  await writeFile(
    file,
    `// One schedule of ${name}, as a test: node --test ${basename(file)}
import assert from "node:assert/strict";
import { test } from "node:test";
${wanted === "" ? "" : `import { fileURLToPath } from "node:url";\n`}import { replayId } from "irqbypass/explore";

test(${JSON.stringify(`${name}, schedule ${id.slice(colon + 1)}`)}, async () => {
  const id = ${fixed === undefined ? JSON.stringify(id) : `\`\${fileURLToPath(new URL(${JSON.stringify(path)}, import.meta.url))}${JSON.stringify(`/${fixed[1]}${id.slice(colon)}`).slice(1, -1)}\``};
  const { violation } = await replayId(id);
  assert.equal(violation, ${expected});
});
`,
  );
}

function checkText(value: unknown, what: string): void {
  if (typeof value === "string") return;
  throw new IrqBypassError("EINVAL", `${show(value)} was passed: pass ${what}`);
}

async function readSubjects(file: ScenarioFile): Promise<Subject[]> {
  let exported: Record<string, unknown>;
  try {
    exported = (await import(pathToFileURL(file.path).href)) as Record<string, unknown>;
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new IrqBypassError("EINVAL", `cannot load ${file.path}: ${why}`, { cause });
  }
  return Object.entries(exported).flatMap(([name, value]) => {
    if (!isScenario(value)) {
      throw new IrqBypassError(
        "EINVAL",
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

function unknown(name: string, known: readonly string[]): IrqBypassError {
  return new IrqBypassError(
    "EINVAL",
    `there is no scenario ${name}: use one of ${known.join(", ")}, or the path of a file`,
  );
}
