import { Explorer, type ExploreSettings } from "../search/explorer.js";
import type { Cast, Scenario, Twin } from "../search/scenario.js";
import { formatSchedule } from "../search/schedule.js";
import type { Tally, Violation } from "../search/tally.js";
import type { World } from "../world/world.js";
import { shorten } from "./replay.js";

/** What came of one scenario, or of one twin of it. */
export interface Report {
  /** `file/scenario`, and for a twin `file/scenario/twin`. */
  readonly name: string;
  /** What must hold, or what is wrong with the twin. */
  readonly sentence: string;
  /** A twin is wrong on purpose: it passes when it is caught. */
  readonly twin: boolean;
  /** The threads' names, by index. */
  readonly threads: readonly string[];
  /** How much was visited. */
  readonly tally: Tally;
  /** Everything was visited, up to a bound, or not to the end; a violation ends it early. */
  readonly extent: "exhaustive" | "bounded" | "interrupted" | "violated";
  /** What it is bounded by, where it is. */
  readonly bounds: readonly string[];
  /** What is taken for granted about mutexes. */
  readonly mutexes: "explored" | "assumed";
  /** What is taken for granted about waits with a time limit. */
  readonly timeLimits: "never pass" | "pass when nothing else can happen" | "pass at any moment, as bounded";
  /** How long it took. */
  readonly seconds: number;
  /** What was found; undefined where nothing is wrong. */
  readonly violation:
    | {
        /** What is wrong. */
        readonly message: string;
        /** The schedule that shows it, which {@link replayId} runs again. */
        readonly id: string;
        /** How long that is. */
        readonly steps: number;
      }
    | undefined;
  /** The shipped code has no violation, or the twin was caught. */
  readonly passed: boolean;
}

/** One thing to explore: a scenario's shipped code or a twin. */
export interface Subject {
  /** As {@link Report.name}. */
  readonly name: string;
  /** As {@link Report.sentence}. */
  readonly sentence: string;
  /** As {@link Report.twin}. */
  readonly twin: boolean;
  /** Name of the scenario: its own, or that of which it is a twin. */
  readonly scenario: string;
  /** It takes more than a few seconds. */
  readonly long: boolean;
  /** For a twin: the known bug that it has. */
  readonly bug: Twin["bug"];
  /** How it is explored. */
  readonly settings: ExploreSettings;
  /** Makes its threads, anew for each run. */
  readonly setup: (world: World) => Cast;
}

/** The shipped code of a scenario and its twins. */
export function subjectsOf(name: string, scenario: Scenario): Subject[] {
  const { preemptions, kills, timeouts, relax, mutexes, long = false } = scenario;
  const settings: ExploreSettings = {
    ...(preemptions === undefined ? {} : { preemptions }),
    ...(kills === undefined ? {} : { kills }),
    ...(timeouts === undefined ? {} : { timeouts }),
    ...(relax === undefined ? {} : { relax }),
    ...(mutexes === undefined ? {} : { mutexes }),
  };
  const shipped = {
    name,
    sentence: scenario.sentence,
    twin: false,
    scenario: name,
    long,
    bug: undefined,
    settings,
    setup: (world: World) => scenario.setup(world),
  };
  const twins = Object.entries(scenario.twins).map(([twin, made]) => ({
    name: `${name}/${twin}`,
    sentence: made.sentence,
    twin: true,
    scenario: name,
    long,
    bug: made.bug,
    // It is to fail by what comes of its mistake, not by the first word that it changes otherwise.
    settings: { ...settings, transitions: false },
    setup: (world: World) => made.setup(world),
  }));
  return [shipped, ...twins];
}

/** Explores one subject. Throws what its setup throws. */
export async function exploreSubject(subject: Subject, more: ExploreSettings = {}): Promise<Report> {
  const settings = { ...subject.settings, ...more };
  const started = performance.now();
  const explorer = new Explorer(subject.setup, settings);
  await explorer.explore();
  const seconds = (performance.now() - started) / 1000;
  const { tally } = explorer;
  const found = explorer.violation;
  const violation = found && (await told(subject, settings, found));
  const bounds = boundsOf(settings);
  return {
    name: subject.name,
    sentence: subject.sentence,
    twin: subject.twin,
    threads: explorer.threads.map(({ name }) => name),
    tally,
    extent: found
      ? "violated"
      : explorer.interrupted
        ? "interrupted"
        : bounds.length > 0
          ? "bounded"
          : "exhaustive",
    bounds,
    mutexes: settings.mutexes ?? "explored",
    timeLimits: TIME_LIMITS[typeof settings.timeouts === "number" ? "any" : (settings.timeouts ?? "never")],
    seconds,
    violation,
    passed: subject.twin ? found !== undefined : found === undefined && !explorer.interrupted,
  };
}

async function told(
  subject: Subject,
  settings: ExploreSettings,
  found: Violation,
): Promise<NonNullable<Report["violation"]>> {
  const { message, choices } =
    found.choices.length > 0 ? await shorten(subject.setup, settings, found) : found;
  return { message, id: `${subject.name}:${formatSchedule(choices)}`, steps: choices.length };
}

const TIME_LIMITS = {
  never: "never pass",
  stuck: "pass when nothing else can happen",
  any: "pass at any moment, as bounded",
} as const;

function boundsOf({ preemptions, timeouts }: ExploreSettings): string[] {
  const bounds: string[] = [];
  if (preemptions !== undefined) bounds.push(`${preemptions} preemption${preemptions === 1 ? "" : "s"}`);
  if (typeof timeouts === "number")
    bounds.push(`${timeouts} early end${timeouts === 1 ? "" : "s"} of a time limit`);
  return bounds;
}

/** A count as people read it; large ones as a power of ten. */
export function count(value: number): string {
  return value < 1e9 ? Math.round(value).toLocaleString("en") : value.toExponential(1).replace("e+", "e");
}

/** The two lines that a person reads of a report. */
export function reportText(report: Report): string {
  const { name, sentence, twin, tally, extent, bounds, seconds, violation, passed, threads } = report;
  const mark = passed ? "ok  " : "FAIL";
  const perSecond = (what: number) => count(what / Math.max(seconds, 1e-6));
  const rate =
    tally.states > 0
      ? `${perSecond(tally.transitions)} transitions/s`
      : `${perSecond(tally.schedules)} schedules/s`;
  const how =
    extent === "violated"
      ? `after ${count(tally.transitions)} steps`
      : extent === "bounded"
        ? `bounded at ${bounds.join(", ")}`
        : extent;
  const where =
    tally.states > 0
      ? `${count(tally.states)} states, ${count(tally.transitions)} transitions`
      : `${count(tally.transitions)} steps`;
  const lines = [`${mark} ${twin ? "  twin " : ""}${name}: ${sentence}`];
  if (violation === undefined) {
    const killed = tally.killed > 0 ? `, ${count(tally.killed)} of them with a death` : "";
    const assumed = report.mutexes === "assumed" ? ", mutexes are taken for granted" : "";
    const miss =
      tally.missProbability > 1e-9
        ? `, chance of a missed state ${tally.missProbability.toExponential(0)}`
        : "";
    lines.push(
      `       ${threads.length} threads, up to ${tally.depth} steps; ${where} stand for ${count(tally.schedules)} schedules${killed}`,
      `       ${how} in ${seconds.toFixed(2)} s (${rate}); time limits ${report.timeLimits}${assumed}${miss}`,
    );
    if (twin) lines.push("       NOT CAUGHT: this twin is wrong, and no schedule shows it");
  } else if (twin) {
    lines.push(
      `       caught ${how}: ${violation.message}; shortest ${violation.steps} steps, --replay ${violation.id}`,
    );
  } else {
    lines.push(`       VIOLATED ${how}: ${violation.message}`);
  }
  return lines.join("\n");
}
