/**
 * A storm from start to result: one host, threads that create and destroy VMs on it, and what each step took.
 *
 * It is the load of kernel bugzilla 217379: hosts with many small VMs, whose irqfds mostly have no producer at all,
 * spent ever more time under the irqbypass lock with each VM that was there already.
 */
import { Worker } from "node:worker_threads";
import { type Capacity, Host } from "../../index.js";
import { Board, STEP, type Step } from "./board.js";
import { phaseOf, type Rounds, roundsOf, type StormResult } from "./result.js";
import type { Storm } from "./storm-file.js";
import type { StepReport, StormThreadData } from "./storm-thread.js";

/** Rounds that do not count: until the code of every thread is compiled, they show nothing but that. */
const WARM_UP = 60;

const WORKER = new URL("./storm-worker.js", import.meta.url);

/**
 * Runs a storm, or as many of its rounds as fit in before `stop` is aborted; what it made it takes away again.
 * @param progress called when a step begins, with what it is.
 * @throws what a thread failed with, and an Error where the host holds more or less than it should.
 */
export async function runStorm(
  storm: Storm,
  stop: AbortSignal,
  progress: (text: string) => void,
): Promise<StormResult> {
  const host = Host.create({ capacity: capacityFor(storm) });
  const board = new Board();
  const threads = Array.from({ length: storm.threads }, (_, i) => new StormThread(host, board, storm, i));
  const step = (what: Step): Promise<StepReport[]> => {
    const ends = threads.map((thread) => thread.stepEnd());
    board.call(what);
    return Promise.all(ends);
  };
  try {
    const rounds = async (beside: string): Promise<Rounds> => {
      const reports: StepReport[][] = [];
      for (let round = 1; round <= storm.rounds && !stop.aborted; round++) {
        progress(`round ${round} of ${storm.rounds} ${beside}`);
        reports.push(await step(STEP.round));
      }
      return roundsOf(reports);
    };
    progress("warming up");
    for (let round = 0; round < WARM_UP && !stop.aborted; round++) await step(STEP.round);
    // The same rounds first with nothing beside them, to compare with.
    const empty = await rounds("with no VM standing");
    expect(host, 0);
    progress(`creating ${storm.standing} VMs`);
    const stood = phaseOf(await step(STEP.stand));
    expect(host, storm.standing * storm.irqfds);
    const full = await rounds(`with ${storm.standing} VMs standing`);
    expect(host, storm.standing * storm.irqfds);
    progress(`destroying ${storm.standing} VMs`);
    const cleared = phaseOf(await step(STEP.clear));
    expect(host, 0);
    await step(STEP.leave);
    await Promise.all(threads.map((thread) => thread.ended));
    host.dispose();
    return { storm, empty, stood, full, cleared };
  } finally {
    await Promise.all(threads.map((thread) => thread.terminate()));
  }
}

class StormThread {
  readonly ended: Promise<void>;
  readonly #worker: Worker;
  readonly #failed: Promise<never>;

  constructor(host: Host, board: Board, storm: Storm, number: number) {
    const share = (all: number): number =>
      Math.floor(all / storm.threads) + (number < all % storm.threads ? 1 : 0);
    const data: StormThreadData = {
      host: host.handle,
      board: board.buffer,
      irqfds: storm.irqfds,
      standing: share(storm.standing),
      vms: share(storm.vms),
    };
    this.#worker = new Worker(WORKER, { workerData: data, name: `storm ${number}` });
    this.ended = new Promise((resolve) => {
      this.#worker.once("exit", () => resolve());
    });
    this.#failed = new Promise((_, reject) => {
      this.#worker.once("error", reject);
      this.#worker.once("exit", () => reject(new Error(`thread ${number} of the storm ended too early`)));
    });
    // Whoever waits for a step gets the error.
    this.#failed.catch(() => {});
  }

  /** Resolves at the end of the step that is called next. */
  stepEnd(): Promise<StepReport> {
    const end = new Promise<StepReport>((resolve) => {
      this.#worker.once("message", resolve);
    });
    return Promise.race([end, this.#failed]);
  }

  async terminate(): Promise<void> {
    await this.#worker.terminate();
  }
}

/** @throws where not exactly so many irqfds are assigned. */
function expect(host: Host, irqfds: number): void {
  const found = host.interrupts().length;
  if (found !== irqfds)
    throw new Error(
      `the host holds ${found} irqfds where ${irqfds} were to be: some were lost or left behind`,
    );
}

/** Room for everything at once, and for the routing table that each thread is replacing. */
function capacityFor({ standing, vms, irqfds, threads }: Storm): Partial<Capacity> {
  const most = standing + vms;
  return {
    thread: threads + 4,
    vm: most,
    vcpu: most,
    eventfd: most * irqfds,
    consumer: most * irqfds,
    producer: 1,
    route: (most + threads) * irqfds,
    routing: most + threads,
  };
}
