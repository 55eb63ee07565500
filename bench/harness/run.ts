/** Runs suites: starts a trial's contestants, asks each for rounds in turn, and sums up. */
import { describeMachine } from "./machine.js";
import { Compiler } from "./native.js";
import { ContestantProcess } from "./process.js";
import type { Figure, Report, Row, SuiteReport, TrialReport } from "./report.js";
import { ratio, spread } from "./statistics.js";
import { type Sample, type Suite, type Trial, Unavailable } from "./suite.js";

export interface RunOptions {
  readonly quick: boolean;
  /** Told what is being measured. */
  readonly progress: (text: string) => void;
}

/**
 * Rounds that count are spread over several processes of each contestant, since the compiler may be lucky or unlucky once
 * for the whole life of a process. Until a process has measured for `warmUpMs`, its rounds do not count.
 */
const FULL = { processes: 3, rounds: 3, warmUpMs: 240, roundMs: 12 };
const QUICK = { processes: 1, rounds: 3, warmUpMs: 60, roundMs: 4 };

export async function runSuites(suites: readonly Suite[], { quick, progress }: RunOptions): Promise<Report> {
  const machine = describeMachine();
  const start = performance.now();
  using compiler = new Compiler();
  const reports: SuiteReport[] = [];
  for (const suite of suites) {
    const trials: TrialReport[] = [];
    for (const trial of suite.trials(quick)) {
      progress(`${suite.name}: ${trial.title}`);
      trials.push(await runTrial(suite, trial, quick, compiler));
    }
    const { name, about, measures, notes = [] } = suite;
    reports.push({ name, about, notes, measures, trials });
  }
  return {
    date: new Date().toISOString(),
    quick,
    machine,
    seconds: Math.round((performance.now() - start) / 100) / 10,
    suites: reports,
  };
}

async function runTrial(
  suite: Suite,
  { title, parameters, contestants }: Trial,
  quick: boolean,
  compiler: Compiler,
): Promise<TrialReport> {
  const { processes, rounds, warmUpMs, roundMs } = quick ? QUICK : FULL;
  const once = suite.rounds === 1;
  const settings = { roundMs, ...parameters };
  const unavailable = new Map<string, string>();
  const samples = new Map<string, Sample[]>(contestants.map((name) => [name, []]));
  for (let process = 0; process < (once ? 1 : processes); process++) {
    const running = new Map<string, ContestantProcess>();
    try {
      for (const name of contestants) {
        if (unavailable.has(name)) continue;
        try {
          running.set(name, await ContestantProcess.start(suite, name, settings, compiler));
        } catch (error) {
          if (!(error instanceof Unavailable)) throw error;
          unavailable.set(name, error.message);
        }
      }
      if (!once) for (const contestant of running.values()) await warmUp(contestant, warmUpMs, roundMs);
      for (let round = 0; round < (once ? 1 : rounds); round++) {
        for (const [name, contestant] of running) samples.get(name)?.push(await contestant.round());
      }
    } finally {
      await Promise.all([...running.values()].map((contestant) => contestant[Symbol.asyncDispose]()));
    }
  }
  const reference = samples.get(contestants[0] ?? "") ?? [];
  const rows = contestants.map((contestant): Row => {
    const why = unavailable.get(contestant);
    if (why !== undefined) return { contestant, figures: {}, unavailable: why };
    return summary(suite, contestant, samples.get(contestant) ?? [], reference);
  });
  return { title, parameters, rows };
}

/** Also on a machine that has little time for it: as many rounds as take so long on a quiet one. */
async function warmUp(contestant: ContestantProcess, ms: number, roundMs: number): Promise<void> {
  const end = performance.now() + ms;
  for (let done = 0; done < ms / roundMs || performance.now() < end; done++) await contestant.round();
}

function summary(
  { measures }: Suite,
  contestant: string,
  samples: readonly Sample[],
  reference: readonly Sample[],
): Row {
  const figures: Record<string, Figure> = {};
  for (const { key } of measures) {
    const rounds = samples.map(({ values }) => values[key]).filter((value) => value !== undefined);
    if (rounds.length === 0) continue;
    const base = reference.map(({ values }) => values[key] ?? Number.NaN);
    figures[key] = { ...spread(rounds), ratio: ratio(rounds, base), rounds };
  }
  const latencies = new Map<number, number>();
  for (const sample of samples) {
    for (const [bucket, count] of sample.latencies ?? [])
      latencies.set(bucket, (latencies.get(bucket) ?? 0) + count);
  }
  if (latencies.size === 0) return { contestant, figures };
  return { contestant, figures, latencies: [...latencies].sort(([a], [b]) => a - b) };
}
