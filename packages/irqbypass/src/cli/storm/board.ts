/**
 * What the threads of a storm wait on: which step is next. They wait blocking, so that all begin at once.
 */

/** What a thread does next. */
export const STEP = {
  /** Create its share of the standing VMs, and keep them. */
  stand: 1,
  /** Create its share of a round's VMs, then destroy them. */
  round: 2,
  /** Destroy the standing VMs. */
  clear: 3,
  /** Leave the host and end. */
  leave: 4,
} as const;
export type Step = (typeof STEP)[keyof typeof STEP];

const TURN = 0;
const WHAT = 1;

export class Board {
  readonly buffer: SharedArrayBuffer;
  readonly #words: Int32Array;
  #turn = 0;

  constructor(buffer = new SharedArrayBuffer(2 * Int32Array.BYTES_PER_ELEMENT)) {
    this.buffer = buffer;
    this.#words = new Int32Array(buffer);
  }

  /** The owner's: every thread does this next. One step is over before the next is called. */
  call(step: Step): void {
    Atomics.store(this.#words, WHAT, step);
    Atomics.add(this.#words, TURN, 1);
    Atomics.notify(this.#words, TURN);
  }

  /** A thread's: waits for the next step. Blocks. */
  next(): Step {
    // Until it has changed: the wake-up of the last step may come late, when this thread waits for the next one.
    while (Atomics.load(this.#words, TURN) === this.#turn) Atomics.wait(this.#words, TURN, this.#turn);
    this.#turn += 1;
    return Atomics.load(this.#words, WHAT) as Step;
  }
}
