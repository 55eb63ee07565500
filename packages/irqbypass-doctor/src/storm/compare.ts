/**
 * Two storms side by side, such as before and after a change of kernel: what one more irqfd cost then and costs now.
 * Pure.
 */
import { ANY_RELEASE, type KernelRelease, parseKernelRelease } from "../parse/kernel-release.js";
import { type Container, containerOf } from "../rules/containers.js";
import { FormatError } from "../source/error.js";
import { type Growth, LIST_STEP_NS, type StormVerdict } from "./judge.js";
import type { SavedStorm } from "./saved-storm.js";
import { bothWays, type PairCost, type Spread, type StormStep } from "./steps.js";

/**
 * How many times less it costs after than before: above 1 it became cheaper. `low` and `high` are what the ratio may be
 * for costs between the 10th and the 90th percentile of each side.
 */
export interface Ratio {
  /** The ratio of the medians. */
  readonly median: number;
  /** The least that it may be. */
  readonly low: number;
  /** The most that it may be. */
  readonly high: number;
}

/** What a kernel keeps its producers and consumers in; "no list" where only that was measured. */
export interface KeptIn {
  /** What it is. */
  readonly is: Container | "no list" | "unknown";
  /** A clause. */
  readonly because: string;
}

/** One of the two measurements that are compared. */
export interface ComparedSide {
  /** The file, or "this host, now". */
  readonly from: string;
  /** When it was measured, ISO 8601 in UTC. */
  readonly at: string;
  /** The release, as uname has it. */
  readonly kernel: string;
  /** What that kernel keeps its producers and consumers in. */
  readonly container: KeptIn;
  /** What the measurement said by itself. */
  readonly verdict: StormVerdict;
  /** What each further irqfd of the host added to an assign, in nanoseconds. */
  readonly growth: Growth | null;
}

/** One count of irqfds that both sides were measured at. Costs are nanoseconds. */
export interface ComparedCost {
  /** How many irqfds stood on the host. */
  readonly irqfds: number;
  /** What it cost before. */
  readonly before: PairCost;
  /** What it costs after. */
  readonly after: PairCost;
  /** How many times less that is. */
  readonly ratio: {
    /** Of an assign. */
    readonly assign: Ratio;
    /** Of a deassign. */
    readonly deassign: Ratio;
  };
}

/** Plain data; what `--compare --json` prints. */
export interface StormComparison {
  /** The format of this data; another number is another format. */
  readonly format: "irqbypass-storm-comparison/1";
  /** At the highest count: 0 if an assign costs no more than before, 1 if more, 2 if nothing could be compared. */
  readonly verdict: {
    /** One sentence. */
    readonly says: string;
    /** The exit code of the command. */
    readonly exit: 0 | 1 | 2;
  };
  /** The measurement that was passed. */
  readonly before: ComparedSide;
  /** The one that is compared with it. */
  readonly after: ComparedSide;
  /** In a VM that holds no other irqfd, against all irqfds of the host. */
  readonly host: readonly ComparedCost[];
  /** Sentences: what else the reader should know. */
  readonly notes: readonly string[];
}

/** A storm with where it is from. */
export interface NamedStorm {
  readonly from: string;
  readonly storm: SavedStorm;
}

export function compareStorms(before: NamedStorm, after: NamedStorm): StormComparison {
  const host = before.storm.steps.flatMap((step): ComparedCost[] => {
    const other = after.storm.steps.find(({ count }) => count === step.count);
    return other === undefined ? [] : [compared(step, other)];
  });
  const sides = { before: sideOf(before), after: sideOf(after) };
  const alone =
    new Set([...before.storm.steps, ...after.storm.steps].map(({ count }) => count)).size - host.length;
  const notes: string[] = [];
  if (alone > 0) notes.push(`Counts that only one side was measured at are left out: ${alone}.`);
  for (const [which, { storm }] of [
    ["Before", before],
    ["After", after],
  ] as const)
    if (storm.verdict === "cannot show")
      notes.push(
        `${which}: KVM registered no irqfd with irqbypass, so its container took no part in the costs.`,
      );
  return {
    format: "irqbypass-storm-comparison/1",
    verdict: verdictOf(host.at(-1), sides.before, sides.after),
    ...sides,
    host,
    notes,
  };
}

function compared(before: StormStep, after: StormStep): ComparedCost {
  const [then, now] = [bothWays(before), bothWays(after)];
  return {
    irqfds: before.count,
    before: then,
    after: now,
    ratio: { assign: ratioOf(then.assign, now.assign), deassign: ratioOf(then.deassign, now.deassign) },
  };
}

function ratioOf(before: Spread, after: Spread): Ratio {
  return {
    median: before.median / after.median,
    low: before.p10 / after.p90,
    high: before.p90 / after.p10,
  };
}

function sideOf({ from, storm }: NamedStorm): ComparedSide {
  const { at, kernel, verdict, growth } = storm;
  return { from, at, kernel, container: keptIn(storm), verdict, growth };
}

/** What was measured goes before what the number says: vendors move such changes between versions. */
function keptIn({ kernel, verdict, growth }: SavedStorm): KeptIn {
  const release = releaseOf(kernel);
  const written = containerOf(release);
  const number =
    written === undefined ? `no rule for Linux ${release.text}` : `Linux ${release.text} has the ${written}`;
  const step = growth === null ? "" : ` (${growth.low.toFixed(2)} ns or more for each irqfd)`;
  if (verdict === "list") {
    if (written === "xarray")
      return { is: "unknown", because: `${number}, and yet the cost grew as that of a list${step}` };
    return { is: "list", because: `measured: the cost grew with every irqfd of the host${step}; ${number}` };
  }
  if (verdict === "no list") {
    if (written === "xarray") return { is: "xarray", because: `${number}, and the cost did not grow` };
    const flat = `measured: the cost grew by less than ${LIST_STEP_NS} ns for each irqfd of the host`;
    return { is: "no list", because: `${flat}; ${number}` };
  }
  return { is: written ?? "unknown", because: `${number}; the costs do not show it` };
}

function releaseOf(kernel: string): KernelRelease {
  try {
    return parseKernelRelease(kernel);
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    return { ...ANY_RELEASE, text: kernel };
  }
}

function verdictOf(
  top: ComparedCost | undefined,
  before: ComparedSide,
  after: ComparedSide,
): StormComparison["verdict"] {
  if (top === undefined)
    return {
      says: "No count of irqfds was measured on both sides: measure both up to the same count.",
      exit: 2,
    };
  const { low, high, median } = top.ratio.assign;
  const times = (value: number) => (value >= 10 ? value.toFixed(0) : value.toFixed(2));
  const irqfds = `With ${top.irqfds.toLocaleString("en-US")} irqfds on the host an assign costs`;
  const spread = (from: number, to: number) =>
    `${times(from)} to ${times(to)} for costs from the 10th to the 90th percentile`;
  const cost =
    low > 1
      ? `${irqfds} ${times(median)} times less than before (${spread(low, high)})`
      : high < 1
        ? `${irqfds} ${times(1 / median)} times more than before (${spread(1 / high, 1 / low)})`
        : `${irqfds} what it did before, within the spread: before/after is ${times(median)} (${spread(low, high)})`;
  const says = `${cost}. Kept in: ${before.container.is} before, ${after.container.is} after.`;
  return { says, exit: high < 1 ? 1 : 0 };
}
