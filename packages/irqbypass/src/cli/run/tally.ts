/**
 * The observer's sums of a run's wrapping counters.
 */
import type { Ledger, Mailbox } from "./ledger.js";

export interface Counts {
  signals: number;
  delivered: number;
  lost: number;
}

/** Adds up what the counters moved since the last look; look more often than a counter can wrap (a minute). */
export class Tally {
  readonly counts: readonly Counts[];
  readonly #ledger: Ledger;
  readonly #mailboxes: readonly Mailbox[];
  readonly #last: Counts[];

  /** @param mailboxes where each interrupt of the ledger has its indexes. */
  constructor(ledger: Ledger, mailboxes: readonly Mailbox[]) {
    this.#ledger = ledger;
    this.#mailboxes = mailboxes;
    this.counts = mailboxes.map(() => ({ signals: 0, delivered: 0, lost: 0 }));
    this.#last = mailboxes.map((_, interrupt) => this.#read(interrupt));
  }

  look(): void {
    this.counts.forEach((sum, interrupt) => {
      const before = this.#last[interrupt] ?? sum;
      const now = this.#read(interrupt);
      sum.signals += (now.signals - before.signals) >>> 0;
      sum.delivered += (now.delivered - before.delivered) >>> 0;
      sum.lost += (now.lost - before.lost) >>> 0;
      this.#last[interrupt] = now;
    });
  }

  #read(interrupt: number): Counts {
    const mailbox = this.#mailboxes[interrupt];
    const delivered = mailbox === undefined ? 0 : Atomics.load(mailbox.words, mailbox.delivered) >>> 0;
    return { signals: this.#ledger.signals(interrupt), delivered, lost: this.#ledger.lost(interrupt) };
  }
}
