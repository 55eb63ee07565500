/** Loops that measure. */

/**
 * What two looks at the clock cost, in milliseconds: taken off what lies between them. From many looks, when the call
 * is compiled, and from the quick ones of them, so that nothing is taken off that was not there.
 */
export const clockCost = (() => {
  const costs = new Float64Array(50_000);
  for (let i = 0; i < costs.length; i++) {
    const start = performance.now();
    costs[i] = performance.now() - start;
  }
  return costs.slice(costs.length / 2).sort()[costs.length / 20]!;
})();

/** A clock, in milliseconds, and what two looks at it cost. */
interface Clock {
  readonly now: () => number;
  readonly cost: number;
}

const wall: Clock = { now: () => performance.now(), cost: clockCost };

/**
 * What this process has had of the processors: for what one thread does by itself, which is then the same beside others' work. It
 * counts whole microseconds, so a phase must take many.
 */
export const processor: Clock = { now: processorMs, cost: 0 };

function processorMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

/** One step of a round: timed, or only done. */
export interface Phase {
  readonly run: () => void;
  readonly timed: boolean;
}

export const timed = (run: () => void): Phase => ({ run, timed: true });
export const untimed = (run: () => void): Phase => ({ run, timed: false });

/**
 * Runs the phases one after the other, again and again until `ms` are over, at least once.
 * @param operations how many operations each timed phase does.
 * @returns for each timed phase, nanoseconds per operation.
 */
export function measure(ms: number, operations: number, ...phases: readonly Phase[]): number[] {
  return measureBy(wall, ms, operations, ...phases);
}

/** The same by another clock, on which `ms` is too. */
export function measureBy(
  { now, cost }: Clock,
  ms: number,
  operations: number,
  ...phases: readonly Phase[]
): number[] {
  const spent = phases.map(() => 0);
  const end = now() + ms;
  let repeats = 0;
  do {
    phases.forEach((phase, i) => {
      const start = now();
      phase.run();
      spent[i]! += now() - start - cost;
    });
    repeats += 1;
  } while (now() < end);
  return phases
    .map((phase, i) => (phase.timed ? (Math.max(0, spent[i]!) * 1e6) / (repeats * operations) : -1))
    .filter((value) => value >= 0);
}
