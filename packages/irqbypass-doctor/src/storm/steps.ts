/**
 * The measurement of the storm. Standing irqfds are added in steps, each in a VM of its own; at each count the cost
 * of one more is sampled in a small VM, and in the VM of the step. Then the VMs are closed one by one, newest first,
 * and the small VM is sampled again at each count, so that a drift of the machine shows as scatter.
 */
import type { StormKernel } from "./kernel.js";

/** Spread of some costs, in nanoseconds: the median, and what 10 % and 90 % of the samples stay below. */
export interface Spread {
  /** How many were measured. */
  readonly samples: number;
  /** The 10th percentile. */
  readonly p10: number;
  /** The 50th. */
  readonly median: number;
  /** The 90th. */
  readonly p90: number;
}

/** Cost of one assign and of one deassign. */
export interface PairCost {
  /** Of KVM_IRQFD that assigns. */
  readonly assign: Spread;
  /** Of KVM_IRQFD that deassigns. */
  readonly deassign: Spread;
}

/** What was measured with `count` irqfds standing on the host. */
export interface StormStep {
  /** How many irqfds stood on the host. */
  readonly count: number;
  /** In the small VM, which holds no irqfd but the one that is measured: what grows here is host-wide. */
  readonly up: PairCost;
  /** The same count again, on the way down; null if the storm ended before. */
  readonly down: PairCost | null;
  /** In the VM of this step, which itself holds `irqfds` of them: what grows only here is that VM's own. */
  readonly crowded: PairCost & {
    /** How many that VM holds. */
    readonly irqfds: number;
  };
}

/** Why the storm went no further. */
export type StormEnd = "complete" | "time limit" | "interrupted";

export interface StepPlan {
  /** Counts to measure at, ascending. */
  readonly counts: readonly number[];
  /** Pairs of assign and deassign sampled at each count in the small VM; a quarter of it in the crowded one. */
  readonly samples: number;
  /** The way up ends at the first step that begins later than this, in milliseconds. */
  readonly limitMs: number;
  readonly signal?: AbortSignal | undefined;
  readonly progress?: ((standing: number) => void) | undefined;
  /** Monotonic milliseconds. */
  readonly now: () => number;
}

export interface StepResult {
  readonly steps: readonly StormStep[];
  readonly ended: StormEnd;
}

/** Half-decades up to `upTo` and `upTo` itself: 10, 32, 100, 316, and so on. */
export function stepCounts(upTo: number): number[] {
  const counts: number[] = [];
  for (let half = 2; Math.round(10 ** (half / 2)) < upTo; half += 1)
    counts.push(Math.round(10 ** (half / 2)));
  counts.push(upTo);
  return counts;
}

/** Pairs run before the first sample, so that the just-in-time compiler and the caches are warm. */
const WARM_UP = 500;
/** Calls between two looks at the clock and at the signal. */
const BATCH = 64;

/**
 * Runs the plan. Gives the event loop a turn between batches of calls, which block for microseconds each. Whatever
 * happens, every descriptor that it opened is closed when it returns or throws.
 * @throws what the kernel's calls throw.
 */
export async function runSteps(kernel: StormKernel, plan: StepPlan): Promise<StepResult> {
  const kept = new Descriptors(kernel);
  try {
    return await climb(kernel, plan, kept);
  } finally {
    kept.closeAll();
  }
}

/** Standing irqfds of one step. */
interface Crowd {
  readonly count: number;
  readonly vm: number;
  readonly eventfds: readonly number[];
}

async function climb(kernel: StormKernel, plan: StepPlan, kept: Descriptors): Promise<StepResult> {
  const started = plan.now();
  const stopped = () => plan.signal?.aborted === true;
  const late = () => plan.now() - started > plan.limitMs;
  const small = kept.keep(kernel.createVm());
  const probe = kept.keep(kernel.createEventfd());
  await samplePairs(kernel, small, probe, WARM_UP, stopped);

  const steps: StormStep[] = [];
  const crowds: Crowd[] = [];
  let standing = 0;
  let ended: StormEnd = "complete";
  for (const count of plan.counts) {
    const vm = kept.keep(kernel.createVm());
    const eventfds: number[] = [];
    crowds.push({ count, vm, eventfds });
    while (standing < count && !stopped() && !late()) {
      for (let i = 0; i < BATCH && standing < count; i += 1) {
        const eventfd = kept.keep(kernel.createEventfd());
        kernel.assign(vm, eventfd);
        eventfds.push(eventfd);
        standing += 1;
      }
      plan.progress?.(standing);
      await turn();
    }
    if (standing < count) {
      ended = "time limit";
      break;
    }
    const up = await samplePairs(kernel, small, probe, plan.samples, stopped);
    const crowded = await samplePairs(kernel, vm, probe, Math.ceil(plan.samples / 4), stopped);
    if (up === null || crowded === null) break;
    steps.push({ count, up, down: null, crowded: { irqfds: eventfds.length, ...crowded } });
  }
  for (const crowd of crowds.reverse()) {
    if (stopped()) return { steps, ended: "interrupted" };
    const at = steps.findIndex((step) => step.count === crowd.count);
    if (at >= 0)
      steps[at] = { ...steps[at]!, down: await samplePairs(kernel, small, probe, plan.samples, stopped) };
    // The VM first: closing it takes all its irqfds along in one call.
    for (const fd of [crowd.vm, ...crowd.eventfds]) kept.close(fd);
    standing -= crowd.eventfds.length;
    plan.progress?.(standing);
    await turn();
  }
  return { steps, ended };
}

/** Assigns and deassigns `probe` in turn; null if `stopped` became true before the last sample. */
async function samplePairs(
  kernel: StormKernel,
  vm: number,
  probe: number,
  samples: number,
  stopped: () => boolean,
): Promise<PairCost | null> {
  const assigns: number[] = [];
  const deassigns: number[] = [];
  for (let i = 0; i < samples; i += 1) {
    if (i % BATCH === 0) {
      await turn();
      if (stopped()) return null;
    }
    assigns.push(kernel.assign(vm, probe));
    deassigns.push(kernel.deassign(vm, probe));
  }
  return { assign: spread(assigns), deassign: spread(deassigns) };
}

/** The spread of at least one sample. */
export function spread(samples: readonly number[]): Spread {
  const sorted = [...samples].sort((a, b) => a - b);
  const at = (part: number) => sorted[Math.round((sorted.length - 1) * part)]!;
  return { samples: sorted.length, p10: at(0.1), median: at(0.5), p90: at(0.9) };
}

/** Both ways of one count together: the wider of the two spreads, and the mean of the medians. */
export function bothWays({ up, down }: StormStep): PairCost {
  return { assign: together(up.assign, down?.assign), deassign: together(up.deassign, down?.deassign) };
}

function together(one: Spread, other: Spread | undefined): Spread {
  if (other === undefined) return one;
  return {
    samples: one.samples + other.samples,
    p10: Math.min(one.p10, other.p10),
    median: (one.median + other.median) / 2,
    p90: Math.max(one.p90, other.p90),
  };
}

/** The descriptors that are open, in the order in which they were opened. */
class Descriptors {
  readonly #kernel: StormKernel;
  readonly #open = new Set<number>();

  constructor(kernel: StormKernel) {
    this.#kernel = kernel;
  }

  keep(fd: number): number {
    this.#open.add(fd);
    return fd;
  }

  close(fd: number): void {
    if (this.#open.delete(fd)) this.#kernel.close(fd);
  }

  /** Closes the rest; one that cannot be closed does not keep the others open. */
  closeAll(): void {
    const failures: unknown[] = [];
    for (const fd of this.#open) {
      try {
        this.close(fd);
      } catch (error) {
        failures.push(error);
      }
    }
    if (failures.length > 0) throw failures[0];
  }
}

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
