/**
 * What the threads of a run share about it: counters, the indexes that tell a lost interrupt, and latencies.
 *
 * It is memory of the command's own, beside the host's: the library under test must not be what counts for it.
 * All words are 32-bit and accessed through the functions here. Counters wrap; a reader adds up differences.
 *
 * | block          | word      | written by     | read by | meaning                                           |
 * |----------------|-----------|----------------|---------|---------------------------------------------------|
 * | run            | STATE     | main           | devices | 0: wait, 1: run, 2: begin no further burst        |
 * | device d       | DOOR      | guest, main    | device  | rung after an index was noted; the device waits   |
 * |                | PARKED    | device         | guest   | 1: ring the door                                  |
 * |                | SENDING   | device         | guest   | 1: in the middle of a long burst                  |
 * | vCPU c         | IDLE      | guest          | device  | 1: waiting, or about to, with nothing in hand     |
 * | interrupt i    | USED      | device         | guest   | index of a burst, published before its last signal|
 * |                | SIGNALS   | device         | main    | signals sent                                      |
 * |                | LOST      | device         | main    | bursts whose last index was never noted           |
 * |                | SAMPLE    | both           | both    | 1: the next handler run notes when it ran         |
 * | (own line)     | SEEN      | guest          | device  | USED as the handler found it                      |
 * |                | DELIVERED | guest          | main    | runs of the handler                               |
 * |                | ARRIVED   | guest          | device  | clock of a sampled run, two words                 |
 * | histogram i    | buckets   | device         | main    | see `histogram.ts`                                |
 */
import { HISTOGRAM_WORDS } from "../histogram.js";

/** A cache line, so that the words of two writers are never on the same one. */
const LINE = 16;
const STATE = 0;
const RUNNING = 1;
const STOPPING = 2;
const RUN_WORDS = LINE;
const DOOR = 0;
const PARKED = LINE;
const SENDING = LINE + 1;
const DEVICE_WORDS = 2 * LINE;
const IDLE = 0;
const VCPU_WORDS = LINE;
const USED = 0;
const SIGNALS = 1;
const LOST = 2;
const SAMPLE = 3;
const SEEN = LINE;
const DELIVERED = LINE + 1;
const ARRIVED_LOW = LINE + 2;
const ARRIVED_HIGH = LINE + 3;
const INTERRUPT_WORDS = 2 * LINE;

/** Structured-cloneable: what another thread needs to attach. */
export interface LedgerHandle {
  readonly buffer: SharedArrayBuffer;
  readonly devices: number;
  readonly vcpus: number;
  readonly interrupts: number;
}

/** Where an interrupt's indexes and count live: the ledger, or memory of a guest that cannot see the ledger. */
export interface Mailbox {
  readonly words: Int32Array;
  /** Word positions inside `words`. */
  readonly used: number;
  readonly seen: number;
  readonly delivered: number;
}

/** Nanoseconds of the machine's monotonic clock: the same in all threads. */
export function clock(): bigint {
  return process.hrtime.bigint();
}

export class Ledger {
  readonly handle: LedgerHandle;
  readonly #words: Int32Array;
  readonly #vcpus: number;
  readonly #interrupts: number;
  readonly #histograms: number;

  constructor(handle: LedgerHandle) {
    this.handle = handle;
    this.#words = new Int32Array(handle.buffer);
    this.#vcpus = RUN_WORDS + handle.devices * DEVICE_WORDS;
    this.#interrupts = this.#vcpus + handle.vcpus * VCPU_WORDS;
    this.#histograms = this.#interrupts + handle.interrupts * INTERRUPT_WORDS;
  }

  static create(counts: { devices: number; vcpus: number; interrupts: number }): Ledger {
    const words =
      RUN_WORDS +
      counts.devices * DEVICE_WORDS +
      counts.vcpus * VCPU_WORDS +
      counts.interrupts * (INTERRUPT_WORDS + HISTOGRAM_WORDS);
    return new Ledger({ ...counts, buffer: new SharedArrayBuffer(words * Int32Array.BYTES_PER_ELEMENT) });
  }

  /** Devices begin. */
  start(): void {
    Atomics.compareExchange(this.#words, STATE, 0, RUNNING);
    Atomics.notify(this.#words, STATE);
  }

  /** Devices end their open bursts and begin no more; those that did not begin yet never do. */
  stop(): void {
    Atomics.store(this.#words, STATE, STOPPING);
    Atomics.notify(this.#words, STATE);
    for (let device = 0; device < this.handle.devices; device++) this.#ring(device);
  }

  get stopping(): boolean {
    return Atomics.load(this.#words, STATE) === STOPPING;
  }

  /** Waits for {@link start} or {@link stop}. Blocks. */
  awaitStart(): void {
    while (Atomics.load(this.#words, STATE) === 0) Atomics.wait(this.#words, STATE, 0);
  }

  // --- the device's side -----------------------------------------------------------------------------------

  /** The mailbox of an interrupt whose guest shares this memory. */
  mailbox(interrupt: number): Mailbox {
    const base = this.#interrupt(interrupt);
    return { words: this.#words, used: base + USED, seen: base + SEEN, delivered: base + DELIVERED };
  }

  countSignals(interrupt: number, signals: number): void {
    Atomics.add(this.#words, this.#interrupt(interrupt) + SIGNALS, signals);
  }

  countLost(interrupt: number): void {
    Atomics.add(this.#words, this.#interrupt(interrupt) + LOST, 1);
  }

  /** Asks the next handler run of this interrupt to note when it ran. */
  askArrival(interrupt: number): void {
    Atomics.store(this.#words, this.#interrupt(interrupt) + SAMPLE, 1);
  }

  /** When the handler ran after {@link askArrival}, by {@link clock}; `undefined` when it did not. */
  takeArrival(interrupt: number): bigint | undefined {
    const base = this.#interrupt(interrupt);
    if (Atomics.exchange(this.#words, base + SAMPLE, 0) === 1) return undefined;
    const low = BigInt(Atomics.load(this.#words, base + ARRIVED_LOW) >>> 0);
    const high = BigInt(Atomics.load(this.#words, base + ARRIVED_HIGH) >>> 0);
    return (high << 32n) | low;
  }

  /**
   * Waits until the guest noted an index of one of the device's interrupts. Blocks.
   * @param ready looked at once more after the guest was asked to ring; `true`: do not wait.
   */
  park(device: number, timeoutMs: number, ready: () => boolean): void {
    const base = this.#device(device);
    const door = Atomics.load(this.#words, base + DOOR);
    // The order that loses no ring: ask for it, then look, then wait. The guest notes, then looks whom to ring.
    Atomics.store(this.#words, base + PARKED, 1);
    if (!ready()) Atomics.wait(this.#words, base + DOOR, door, timeoutMs);
    Atomics.store(this.#words, base + PARKED, 0);
  }

  /** Waits for the time to pass, or for {@link stop}; the guest rings nobody. Arguments as of {@link park}. Blocks. */
  sleep(device: number, timeoutMs: number, ready: () => boolean): void {
    const door = this.#device(device) + DOOR;
    const seen = Atomics.load(this.#words, door);
    if (!ready()) Atomics.wait(this.#words, door, seen, timeoutMs);
  }

  /** Says that many signals are on their way, or that the last of them was sent. */
  setSending(device: number, sending: boolean): void {
    Atomics.store(this.#words, this.#device(device) + SENDING, sending ? 1 : 0);
  }

  vcpuIdle(vcpu: number): boolean {
    return Atomics.load(this.#words, this.#vcpu(vcpu) + IDLE) === 1;
  }

  // --- the guest's side ------------------------------------------------------------------------------------

  setIdle(vcpu: number, idle: boolean): void {
    Atomics.store(this.#words, this.#vcpu(vcpu) + IDLE, idle ? 1 : 0);
  }

  /** Is this device in the middle of a long burst? */
  isSending(device: number): boolean {
    return Atomics.load(this.#words, this.#device(device) + SENDING) === 1;
  }

  /** The guest's handler of one interrupt. Call it after the vCPU acknowledged the vector. */
  deliver(interrupt: number, device: number): void {
    const words = this.#words;
    const base = this.#interrupt(interrupt);
    if (Atomics.load(words, base + SAMPLE) === 1) {
      const now = clock();
      Atomics.store(words, base + ARRIVED_LOW, Number(now & 0xffff_ffffn) | 0);
      Atomics.store(words, base + ARRIVED_HIGH, Number(now >> 32n) | 0);
      Atomics.store(words, base + SAMPLE, 0);
    }
    // Counted before it is noted, so that a device that saw its index finds the run counted.
    Atomics.add(words, base + DELIVERED, 1);
    // Forward only: two vCPUs may handle an interrupt that was re-routed between two of its signals.
    const used = Atomics.load(words, base + USED);
    for (let seen = Atomics.load(words, base + SEEN); ((used - seen) | 0) > 0; ) {
      const before = Atomics.compareExchange(words, base + SEEN, seen, used);
      if (before === seen) break;
      seen = before;
    }
    if (Atomics.load(words, this.#device(device) + PARKED) === 1) this.#ring(device);
  }

  // --- the observer's side ---------------------------------------------------------------------------------

  signals(interrupt: number): number {
    return Atomics.load(this.#words, this.#interrupt(interrupt) + SIGNALS) >>> 0;
  }

  lost(interrupt: number): number {
    return Atomics.load(this.#words, this.#interrupt(interrupt) + LOST) >>> 0;
  }

  histogram(interrupt: number): Int32Array {
    const at = this.#histograms + interrupt * HISTOGRAM_WORDS;
    return this.#words.subarray(at, at + HISTOGRAM_WORDS);
  }

  #ring(device: number): void {
    const door = this.#device(device) + DOOR;
    Atomics.add(this.#words, door, 1);
    Atomics.notify(this.#words, door);
  }

  #device(device: number): number {
    return RUN_WORDS + device * DEVICE_WORDS;
  }

  #vcpu(vcpu: number): number {
    return this.#vcpus + vcpu * VCPU_WORDS;
  }

  #interrupt(interrupt: number): number {
    return this.#interrupts + interrupt * INTERRUPT_WORDS;
  }
}
