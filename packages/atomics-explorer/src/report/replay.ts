import { Explorer, type ExploreSettings } from "../search/explorer.js";
import type { Cast } from "../search/scenario.js";
import { type Choice, formatSchedule } from "../search/schedule.js";
import type { Violation } from "../search/tally.js";
import type { Performed } from "../world/op.js";
import type { World } from "../world/world.js";
import { type ChartLine, chartLines, type Detail, drawChart } from "./chart.js";

/** One schedule, run again. */
export interface Replay {
  /** What is wrong, undefined where the schedule ends well. */
  readonly violation: string | undefined;
  /** The whole schedule, also where only its beginning was given. */
  readonly id: string;
  /** The threads' names, by index. */
  readonly threads: readonly string[];
  /** What each step did. */
  readonly lines: readonly ChartLine[];
}

/** Runs one schedule, or its beginning and then whoever can go on, and keeps what each step did. */
export async function replay(
  setup: (world: World) => Cast,
  settings: ExploreSettings,
  choices: readonly Choice[],
  detail: Detail = "steps",
): Promise<Replay> {
  const explorer = new Explorer(setup, { ...settings, preemptions: Infinity, reduce: false });
  const performed: Performed[][] = [];
  const made = await explorer.follow(choices, (access, step) => {
    performed[step] ??= [];
    performed[step].push(access);
  });
  return {
    violation: explorer.violation?.message,
    id: formatSchedule(made),
    threads: explorer.threads.map(({ name }) => name),
    lines: chartLines(made, performed, (word) => explorer.nameOf(word), detail),
  };
}

/** The chart of a replay as text. */
export function chartOf({ lines, threads }: Replay, width: number): string {
  return drawChart(lines, threads, width);
}

/** Schedules looked at while searching for a shorter one. */
const SEARCH_STEPS = 2_000_000;

/**
 * The shortest failing schedule that a bounded search finds: fewest preemptions first, then fewest steps. Ends with the
 * one given where it finds none.
 */
export async function shorten(
  setup: (world: World) => Cast,
  settings: ExploreSettings,
  found: Violation,
  steps = SEARCH_STEPS,
): Promise<Violation> {
  let best = found;
  let left = steps;
  for (let preemptions = 0; preemptions <= (settings.preemptions ?? 8) && left > 0; preemptions++) {
    // Each time round the search is for something shorter than the best so far, with no more preemptions.
    for (let better = true; better && left > 0; ) {
      const explorer = new Explorer(setup, {
        ...settings,
        preemptions,
        ...(best.preemptions === preemptions ? { maxDepth: best.choices.length - 1 } : {}),
        progress: ({ transitions }) => transitions > left,
      });
      await explorer.explore();
      left -= explorer.tally.transitions;
      better = explorer.violation !== undefined && explorer.violation.choices.length > 0;
      if (better) best = { ...explorer.violation!, preemptions };
    }
    if (best.preemptions === preemptions) break;
  }
  return best;
}
