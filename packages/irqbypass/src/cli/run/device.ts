/**
 * A device of a run: it signals its interrupts in bursts and finds out which of them the guest never saw.
 *
 * Before the last signal of a burst it publishes an index, as a virtqueue publishes its used index; the guest's
 * handler notes the index that it finds. A burst is over when the handler has noted it. Signals of a burst may
 * coalesce; the last one may not go missing.
 */
import { record } from "../histogram.js";
import type { Line } from "./attached-device.js";
import { clock, type Ledger, type Mailbox } from "./ledger.js";

/** One interrupt as its device works with it. */
export interface Signaller {
  /** Its number in the ledger. */
  readonly interrupt: number;
  readonly mailbox: Mailbox;
  /** The software vCPU that takes it, by its number in the ledger; `null` for a vCPU that the ledger cannot see. */
  readonly vcpu: number | null;
  /** Signals of one burst. */
  readonly burst: number;
  /** Signals per second, or as fast as the guest answers. */
  readonly rate: number | "max";
  /** Sends one signal: what is being measured. */
  readonly signal: () => void;
  /** Level-triggered: the other half of the device. */
  readonly line?: Line;
}

/** A burst of so many is worth a word to the guest that more is to come. */
const LONG_BURST = 64;
/** A burst whose last index was not noted for this long is lost. */
const LOST_AFTER_MS = 2000;
/** How long to look for an answer before the thread sleeps. */
const SPIN_MS = 0.01;
/** How long to look where only this thread can tell when a timed signal arrived: a sleep would be measured too. */
const WATCH_MS = 1;
/** A guest that cannot ring is looked at this often. */
const POLL_MS = 0.05;
/** Never sleep longer: a bound, should a ring go missing for a reason outside. */
const LONGEST_SLEEP_MS = 100;
/** A thread that did not run for this long was stopped (a suspended process, a debugger), and so was the guest. */
const STOPPED_MS = 1000;
/** Where the clock is not read anyway, one signal in this many is timed. */
const SAMPLE_EVERY = 256;
/** Where timing takes the core until the answer is there, one in this many. */
const WATCH_EVERY = 16;

/**
 * Waits for the start, then works until the stop and until every open burst is over or lost. Blocks its thread.
 * @param number the device's number in the ledger.
 */
export function runDevice(ledger: Ledger, number: number, signallers: readonly Signaller[]): void {
  ledger.awaitStart();
  const device = new Device(ledger, number, signallers);
  for (;;) {
    if (device.pass()) continue;
    if (ledger.stopping && device.open === 0) return;
    if (device.spin()) continue;
    if (device.awaitsGuest()) ledger.park(number, device.sleepTime(), () => device.pass());
    else ledger.sleep(number, device.sleepTime(), () => ledger.stopping);
  }
}

class Device {
  /** Bursts that wait for the guest. */
  open = 0;
  /** One of them is timed, and only this thread can tell when it arrived. */
  watching = 0;
  readonly number: number;
  readonly #ledger: Ledger;
  readonly #bursts: readonly Burst[];
  #lastPass = performance.now();

  constructor(ledger: Ledger, number: number, signallers: readonly Signaller[]) {
    this.#ledger = ledger;
    this.number = number;
    this.#bursts = signallers.map((own, i) => new Burst(this, ledger, own, i / signallers.length));
  }

  /** Ends bursts that are over and begins those that are due. Whether there were any. */
  pass(): boolean {
    const now = performance.now();
    const gap = now - this.#lastPass;
    this.#lastPass = now;
    if (gap > STOPPED_MS) for (const burst of this.#bursts) burst.excuse(gap);
    const stopping = this.#ledger.stopping;
    let moved = false;
    for (const burst of this.#bursts) if (burst.step(now, stopping)) moved = true;
    return moved;
  }

  /** Looks for an answer for a moment, where somebody waits for it; whether there was one. */
  spin(): boolean {
    if (this.watching === 0 && !this.awaitsGuest()) return false;
    const limit = performance.now() + (this.watching > 0 ? WATCH_MS : SPIN_MS);
    while (performance.now() < limit) if (this.pass()) return true;
    return false;
  }

  /** Does it go on as soon as the guest has noted an index? Otherwise it has time until the next burst is due. */
  awaitsGuest(): boolean {
    const now = performance.now();
    const stopping = this.#ledger.stopping;
    return this.#bursts.some((burst) => burst.awaitsGuest(now, stopping));
  }

  /** Milliseconds until a burst needs the thread again, should nobody ring before. */
  sleepTime(): number {
    const now = performance.now();
    let until = now + LONGEST_SLEEP_MS;
    for (const burst of this.#bursts) until = Math.min(until, burst.nextLook(now));
    return Math.max(0, until - now);
  }
}

/** The bursts of one interrupt, one at a time. */
class Burst {
  readonly #device: Device;
  readonly #ledger: Ledger;
  readonly #own: Signaller;
  /** 0: the next burst begins when this one is over. */
  readonly #periodMs: number;
  readonly #histogram: Int32Array;
  #open = false;
  #index = 0;
  #due = 0;
  #openedAt = 0;
  #unsampled = SAMPLE_EVERY;
  /** When the first signal of a timed burst was sent. */
  #sentAt: bigint | undefined;

  /** @param phase where in its period the first burst begins, 0 to 1: interrupts of one rate do not come at once. */
  constructor(device: Device, ledger: Ledger, own: Signaller, phase: number) {
    this.#device = device;
    this.#ledger = ledger;
    this.#own = own;
    this.#periodMs = own.rate === "max" ? 0 : (1000 * own.burst) / own.rate;
    this.#due = performance.now() + phase * this.#periodMs;
    this.#histogram = ledger.histogram(own.interrupt);
  }

  /** Ends the open burst where it is over, or begins one where it is time. Whether anything was done. */
  step(now: number, stopping: boolean): boolean {
    let moved = false;
    if (this.#open) {
      const { words, seen } = this.#own.mailbox;
      if (Atomics.load(words, seen) === this.#index) this.#finish();
      else if (now - this.#openedAt >= LOST_AFTER_MS) this.#lose();
      else {
        // After the look: the guest notes the index before its EOI, so a line that it has seen to is let go of by now.
        this.#own.line?.recheck();
        return false;
      }
      moved = true;
    }
    if (stopping || now < this.#due) return moved;
    this.#begin(now);
    return true;
  }

  /** The guest was stopped for this long; its two seconds begin later. */
  excuse(ms: number): void {
    this.#openedAt += ms;
  }

  /** Is it open, and somebody waits for its end: the next burst, the line that it holds, or who stops the run? */
  awaitsGuest(now: number, stopping: boolean): boolean {
    return this.#open && (stopping || now >= this.#due || this.#own.line !== undefined);
  }

  /** When this interrupt needs its thread again, should nobody ring before. */
  nextLook(now: number): number {
    if (!this.#open) return this.#due;
    const lost = this.#openedAt + LOST_AFTER_MS;
    const timed = this.#watched && this.#sentAt !== undefined;
    if (this.#own.line !== undefined || timed) return now + POLL_MS;
    if (now < this.#due) return Math.min(this.#due, lost);
    return this.#watched ? now + POLL_MS : lost;
  }

  /** The guest can neither ring nor note the time. */
  get #watched(): boolean {
    return this.#own.vcpu === null;
  }

  #begin(now: number): void {
    const { interrupt, mailbox, burst, signal } = this.#own;
    // A device that fell behind by more than a second does not make up for it.
    if (this.#periodMs > 0) this.#due = Math.max(this.#due, now - 1000) + this.#periodMs;
    this.#sentAt = this.#wantsSample() ? this.#ask() : undefined;
    this.#open = true;
    this.#openedAt = now;
    this.#device.open += 1;
    // Once a burst: the guest's handler reads that cache line, and would wait for it at every signal.
    const long = burst >= LONG_BURST;
    if (long) this.#ledger.setSending(this.#device.number, true);
    for (let i = 1; i < burst; i++) signal();
    if (long) this.#ledger.setSending(this.#device.number, false);
    this.#index = (this.#index + 1) | 0;
    Atomics.store(mailbox.words, mailbox.used, this.#index);
    signal();
    this.#ledger.countSignals(interrupt, burst);
    this.#unsampled += burst;
  }

  /** Timed are interrupts of an idle guest; the others would show how long the queue is. */
  #wantsSample(): boolean {
    // A paced device reads the clock for its pace; one at full speed would be slowed down.
    const every = this.#periodMs === 0 ? SAMPLE_EVERY : this.#watched ? WATCH_EVERY : 1;
    if (this.#unsampled < every) return false;
    return this.#own.vcpu === null ? this.#device.open === 0 : this.#ledger.vcpuIdle(this.#own.vcpu);
  }

  #ask(): bigint {
    this.#unsampled = 0;
    if (this.#watched) this.#device.watching += 1;
    else this.#ledger.askArrival(this.#own.interrupt);
    return clock();
  }

  #finish(): void {
    const sentAt = this.#sentAt;
    const arrived = this.#close();
    if (sentAt !== undefined && arrived !== undefined) record(this.#histogram, Number(arrived - sentAt));
  }

  #lose(): void {
    this.#close();
    this.#ledger.countLost(this.#own.interrupt);
  }

  /** When the burst's timed signal arrived; `undefined` where it was not timed, or nobody noted it. */
  #close(): bigint | undefined {
    this.#own.line?.release();
    this.#open = false;
    this.#device.open -= 1;
    if (this.#sentAt === undefined) return undefined;
    this.#sentAt = undefined;
    if (!this.#watched) return this.#ledger.takeArrival(this.#own.interrupt);
    this.#device.watching -= 1;
    return clock();
  }
}
