/**
 * From measured costs to a verdict: the straight line of cost against count, how sure it is, and what it says about
 * kernel bugzilla 217379. Pure.
 */

/** One measured cost: nanoseconds at a count of irqfds. */
export interface CostPoint {
  readonly count: number;
  readonly ns: number;
}

/** The straight line through measured costs. */
export interface Growth {
  /** Nanoseconds that each further irqfd adds, and the bounds between which that lies with 99 % confidence. */
  readonly nsPerIrqfd: number;
  /** The lower of these bounds. */
  readonly low: number;
  /** The upper one. */
  readonly high: number;
  /** Cost of the line at no irqfds, in nanoseconds. */
  readonly baseNs: number;
}

/**
 * Whether KVM registers irqfds with irqbypass on this host. Where it does not, their number cannot matter there, and
 * a flat cost says nothing about irqbypass.
 */
export interface ConsumerRegistration {
  /** Whether it does. */
  readonly state: "yes" | "no" | "unknown";
  /** A clause that says from what this is known, or what is missing. */
  readonly because: string;
}

/**
 * "list": the cost of an assign grows with the irqfds of the whole host. "no list": it does not, and consumers are
 * registered. "cannot show": no consumers are registered here. "could not tell": noise, or one of these is unknown.
 */
export type StormVerdict = "list" | "no list" | "cannot show" | "could not tell";

export interface StormJudgement {
  readonly verdict: StormVerdict;
  /** One or two sentences with the figures. */
  readonly says: string;
}

/**
 * What one step of a list walk costs at the very least, in nanoseconds: a load whose address depends on the load
 * before, from the first-level cache (4 to 5 cycles). A tree's growth, by contrast, is far below: tens of nanoseconds
 * over a million entries.
 */
export const LIST_STEP_NS = 0.5;

/**
 * Least squares, with the confidence interval of the slope from what the line leaves unexplained. Counts should be
 * spread over decades; measuring each on the way up and on the way down makes drift of the machine show as scatter.
 * @returns null for fewer than three counts or four points: nothing is left to judge the scatter from.
 */
export function growth(points: readonly CostPoint[]): Growth | null {
  const n = points.length;
  if (n < 4 || new Set(points.map((point) => point.count)).size < 3) return null;
  const meanCount = points.reduce((sum, { count }) => sum + count, 0) / n;
  const meanNs = points.reduce((sum, { ns }) => sum + ns, 0) / n;
  let spread = 0;
  let together = 0;
  for (const { count, ns } of points) {
    spread += (count - meanCount) ** 2;
    together += (count - meanCount) * (ns - meanNs);
  }
  const slope = together / spread;
  const base = meanNs - slope * meanCount;
  const left = points.reduce((sum, { count, ns }) => sum + (ns - base - slope * count) ** 2, 0);
  const reach = studentT99(n - 2) * Math.sqrt(left / (n - 2) / spread);
  return { nsPerIrqfd: slope, low: slope - reach, high: slope + reach, baseNs: base };
}

/** Judges the assign cost against the irqfds of the whole host, measured in a VM that holds next to none itself. */
export function judge(assign: Growth | null, registration: ConsumerRegistration): StormJudgement {
  if (assign === null) {
    return registration.state === "no"
      ? { verdict: "cannot show", says: `This KVM registers no consumers: ${registration.because}.` }
      : {
          verdict: "could not tell",
          says: "Too few counts were measured to draw a line; ask for more irqfds.",
        };
  }
  const figures =
    `each further irqfd on the host adds ${figure(assign.nsPerIrqfd)} ns to an assign ` +
    `(99 % sure: ${figure(assign.low)} to ${figure(assign.high)}; a list walk would add ${LIST_STEP_NS} or more)`;
  const grows = assign.low > LIST_STEP_NS;
  const flat = assign.high < LIST_STEP_NS;
  if (registration.state === "no") {
    const seen = grows
      ? `The cost does grow, ${figures}, so it is something else than irqbypass that grows.`
      : `As measured, ${figures}.`;
    return {
      verdict: grows ? "could not tell" : "cannot show",
      says: `This KVM registers no irqfd with irqbypass (${registration.because}), so its list cannot show. ${seen}`,
    };
  }
  if (grows) {
    return { verdict: "list", says: `Assign gets dearer with every irqfd on the host: ${figures}.` };
  }
  if (!flat) {
    return {
      verdict: "could not tell",
      says: `Noise hides the answer: ${figures}. Measure on a quieter machine or with more irqfds.`,
    };
  }
  if (registration.state === "yes") {
    return { verdict: "no list", says: `Assign costs the same at every count: ${figures}.` };
  }
  return {
    verdict: "could not tell",
    says:
      `Assign costs the same at every count: ${figures}. But a KVM that registers no consumers looks the same, ` +
      `and whether this one does is not known: ${registration.because}.`,
  };
}

/** A slope to print: to the hundredth at most, never "-0". */
export function figure(ns: number): string {
  const rounded = Math.abs(ns) >= 10 ? ns.toFixed(0) : Math.abs(ns) >= 1 ? ns.toFixed(1) : ns.toFixed(2);
  return Number(rounded) === 0 ? "0" : rounded;
}

/** Two-sided 99 % quantile of Student's t; between the listed degrees of freedom the larger value is taken. */
function studentT99(freedom: number): number {
  const table: readonly (readonly [number, number])[] = [
    [60, 2.66],
    [30, 2.75],
    [20, 2.85],
    [15, 2.95],
    [12, 3.05],
    [10, 3.17],
    [8, 3.36],
    [6, 3.71],
    [5, 4.03],
    [4, 4.6],
    [3, 5.84],
    [2, 9.92],
  ];
  for (const [from, quantile] of table) if (freedom >= from) return quantile;
  return Number.POSITIVE_INFINITY;
}
