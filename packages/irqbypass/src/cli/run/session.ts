/**
 * One run from start to summary: what happens when, whatever the machine.
 */
import { setTimeout as sleep } from "node:timers/promises";
import type { Moment } from "../live.js";
import { type Compare, type Interrupt, interruptName, type RunResult } from "../result.js";
import { fault, type View } from "../view.js";
import type { Machine } from "./machine.js";
import { Tally } from "./tally.js";

/** How often the view is brought up to date. */
const LOOK_MS = 250;
const NOT_COMPARED: Compare = { posted: null, relayed: null, postMessage: null };

/**
 * Lets the machine's devices signal for some seconds, or until `stop` is aborted, and says what became of it.
 * The comparison is left out when it was stopped.
 * @throws whatever a thread of the machine failed with.
 */
export async function session(
  machine: Machine,
  view: View,
  seconds: number,
  stop: AbortSignal,
): Promise<RunResult> {
  const observer = new Observer(machine, view, seconds);
  const failed = machine.failure;
  machine.ledger.start();
  observer.look();
  while (!stop.aborted && observer.elapsed < seconds) {
    const left = (seconds - observer.elapsed) * 1000;
    await Promise.race([
      sleep(Math.min(LOOK_MS, left), undefined, { signal: stop }).catch(ignoreAbort),
      failed,
    ]);
    observer.look();
  }
  machine.ledger.stop();
  const ran = observer.elapsed;
  observer.ending = "waiting for the last interrupts";
  observer.look();
  await Promise.race([machine.settle(), failed]);
  observer.look();
  const interrupts = observer.interrupts();
  const counted = { interrupts, oneSided: machine.oneSided(), reroutes: machine.reroutes(), seconds: ran };
  if (stop.aborted) return { ...counted, compare: NOT_COMPARED };
  observer.ending = "comparing the ways of one interrupt";
  observer.look();
  const compare = await Promise.race([machine.compare(stop), failed]);
  return { ...counted, compare };
}

/** Reads the ledger and tells the view. */
class Observer {
  ending: string | undefined;
  readonly #machine: Machine;
  readonly #view: View;
  readonly #seconds: number;
  readonly #tally: Tally;
  readonly #startedAt = performance.now();
  #rates: readonly number[] = [];
  #ratedAt = this.#startedAt;
  #rated: readonly number[];
  #lost: number[];

  constructor(machine: Machine, view: View, seconds: number) {
    this.#machine = machine;
    this.#view = view;
    this.#seconds = seconds;
    const mailboxes = machine.wiring().map((wiring) => wiring.mailbox);
    this.#tally = new Tally(machine.ledger, mailboxes);
    this.#lost = mailboxes.map(() => 0);
    this.#rated = this.#lost;
  }

  /** Seconds since the start. */
  get elapsed(): number {
    return (performance.now() - this.#startedAt) / 1000;
  }

  look(): void {
    this.#tally.look();
    this.#rate();
    const interrupts = this.interrupts();
    interrupts.forEach((one, i) => {
      if (one.lost > (this.#lost[i] ?? 0))
        this.#view.note(fault(`lost: ${interruptName(one)} (GSI ${one.gsi}, ${one.path})`));
      this.#lost[i] = one.lost;
    });
    const elapsed = Math.min(this.elapsed, this.#seconds);
    const moment: Moment = { elapsed, seconds: this.#seconds, interrupts, rates: this.#rates };
    this.#view.update(this.ending === undefined ? moment : { ...moment, ending: this.ending });
  }

  /** Rates are of the run, and of long enough a time to say something: when it is over, the last ones stay. */
  #rate(): void {
    const now = performance.now();
    const ms = now - this.#ratedAt;
    if (this.ending !== undefined || ms <= 0 || (ms < LOOK_MS / 2 && this.#rates.some((rate) => rate > 0)))
      return;
    const signals = this.#tally.counts.map((counts) => counts.signals);
    this.#rates = signals.map((count, i) => ((count - (this.#rated[i] ?? 0)) * 1000) / ms);
    this.#rated = signals;
    this.#ratedAt = now;
  }

  interrupts(): Interrupt[] {
    return this.#machine.wiring().map((wiring, i) => ({
      ...wiring,
      ...(this.#tally.counts[i] ?? { signals: 0, delivered: 0, lost: 0 }),
      latency: this.#machine.ledger.histogram(i),
    }));
  }
}

function ignoreAbort(error: unknown): void {
  if (!(error instanceof Error) || error.name !== "AbortError") throw error;
}
