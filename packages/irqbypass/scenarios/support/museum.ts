/**
 * The museum: bugs that Linux has had, each found in a broken twin, and the schedules that the shipped code survives.
 */
import { count, type Report, type Subject } from "atomics-explorer";

/** One bug of Linux, and what came of looking for it. */
export interface Exhibit {
  /** Commit, CVE or name. */
  readonly id: string;
  readonly year: number;
  /** What the twin does wrong. */
  readonly sentence: string;
  /** Name of the twin. */
  readonly name: string;
  /** Schedules run until it was found; undefined where it was not. */
  readonly foundAfter: number | undefined;
  /** What went wrong there. */
  readonly message: string;
  /** Schedules of the same scenario that the shipped code survives; undefined where it does not. */
  readonly survives: number | undefined;
  /** The shipped code was run under every schedule, not up to a bound. */
  readonly exhaustive: boolean;
}

/** What the reports say of the twins that have a bug of Linux, by year. `reports` are of `subjects`, in their order. */
export function exhibits(subjects: readonly Subject[], reports: readonly Report[]): Exhibit[] {
  return subjects
    .flatMap(({ bug, sentence, name, scenario }, index) => {
      if (bug === undefined) return [];
      const found = reports[index]!;
      const shipped = reports.find((report) => report.name === scenario);
      const { violation, tally } = found;
      return {
        ...{ id: bug.id, year: bug.year, sentence, name },
        foundAfter: violation === undefined ? undefined : tally.runs + 1,
        message: violation?.message ?? "",
        survives: shipped?.passed ? shipped.tally.schedules : undefined,
        exhaustive: shipped?.extent === "exhaustive",
      };
    })
    .sort((a, b) => a.year - b.year);
}

/** The museum as people read it. */
export function museumText(all: readonly Exhibit[]): string {
  if (all.length === 0) return "none of these scenarios has a twin with a bug that Linux had\n";
  const found = all.filter(({ foundAfter }) => foundAfter !== undefined).length;
  const survived = all.filter(({ survives }) => survives !== undefined).length;
  return (
    all.map((one) => `${lines(one)}\n`).join("") +
    `\n${found} of ${all.length} bugs found, ${survived} of ${all.length} survived by the shipped code\n`
  );
}

function lines({ id, year, sentence, name, foundAfter, message, survives, exhaustive }: Exhibit): string {
  const found =
    foundAfter === undefined
      ? "NOT FOUND"
      : `found after ${count(foundAfter)} schedule${foundAfter === 1 ? "" : "s"}: ${message}`;
  const survived =
    survives === undefined
      ? "NOT SURVIVED by the shipped code"
      : `the shipped code survives ${exhaustive ? "all " : ""}${count(survives)} schedules`;
  return `${year}  ${id}: ${sentence}\n      ${name}\n      ${found}\n      ${survived}`;
}
