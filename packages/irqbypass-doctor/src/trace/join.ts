/**
 * Joins what the events say: the last change of each host interrupt, handler runs, injections, inhibits. Pure, and
 * bounded in memory however long the trace is.
 */

import { parseTraceLine, type TraceLine } from "../parse/trace-line.js";
import type { InhibitChange, PostingChange, TraceFacts } from "../source/trace-facts.js";
import type { MatchedFormat, TraceFinding } from "./events.js";

/**
 * KVM decodes an MSI in the same thread just before it updates the table entry for it. One that is so close before an
 * update is that decoding and no injection.
 */
const BESIDE_SECONDS = 0.01;
/** Changes of inhibits that are kept, newest last. */
const MOST_INHIBITS = 1000;
/** Threads whose last MSI is remembered. */
const MOST_THREADS = 10_000;
const SAMPLE = 160;

interface Unread {
  count: number;
  readonly first: string;
}

/** Takes lines one by one and gives the facts at the end. */
export class TraceJoin {
  readonly #formats: ReadonlyMap<string, MatchedFormat>;
  readonly #clockStart: number | null;
  readonly #posting = new Map<string, PostingChange>();
  readonly #handled = new Map<number, { name: string; count: number; sinceChange: number }>();
  readonly #lastMsi = new Map<number, number>();
  readonly #inhibits: InhibitChange[] = [];
  readonly #unread = new Map<string, Unread>();
  #firstAt: number | null = null;
  #injections = 0;
  #gaLog = 0;
  #lost = 0;
  #gaps = 0;

  /**
   * `formats` by event name, without the system. `clockStart` is the trace clock's time at which the trace began;
   * null counts from the first event.
   */
  constructor(formats: ReadonlyMap<string, MatchedFormat>, clockStart: number | null) {
    this.#formats = formats;
    this.#clockStart = clockStart;
  }

  /** Takes one line of the pipe; what is no event is left aside. */
  add(line: string): void {
    const parsed = parseTraceLine(line);
    if (parsed === null) return;
    if ("lost" in parsed) {
      this.#lost += parsed.lost;
      this.#gaps += 1;
      return;
    }
    const format = this.#formats.get(parsed.event);
    if (format === undefined) return;
    this.#firstAt ??= parsed.at;
    const finding = format.read(parsed.text);
    if (finding === null) this.#leaveUnread(parsed);
    else this.#take(finding, parsed);
  }

  /** All that was seen in `seconds`; `notes` are put before the join's own. */
  facts(
    seconds: number,
    followed: readonly string[],
    generation: string | null,
    notes: readonly string[],
  ): TraceFacts {
    const own = [...this.#unread].map(
      ([event, { count, first }]) =>
        `${event}: ${count} events have a text that does not fit their format and were left aside; the first: ${first}`,
    );
    return {
      seconds,
      followed,
      generation,
      posting: [...this.#posting.values()],
      handled: [...this.#handled].map(([irq, { name, count, sinceChange }]) => ({
        irq,
        name,
        count,
        sinceChange,
      })),
      injections: this.#injections,
      inhibits: [...this.#inhibits].sort((a, b) => a.at - b.at),
      registrations: [],
      gaLog: this.#gaLog,
      // A gap whose size the kernel does not tell is one event at least.
      lost: Math.max(this.#lost, this.#gaps),
      notes: [...notes, ...own],
    };
  }

  #take(finding: TraceFinding, { at: clock, tid }: TraceLine): void {
    const at = Math.max(0, clock - (this.#clockStart ?? this.#firstAt ?? clock));
    switch (finding.kind) {
      case "posting": {
        const { hostIrq, set, vcpu, gsi, guestVector } = finding;
        // Without a host interrupt the GSI is the next best key; GSIs of several VMs then fall together.
        const key = hostIrq === null ? `gsi ${gsi}` : `irq ${hostIrq}`;
        // Lines that were put together from several files may be out of order.
        if ((this.#posting.get(key)?.at ?? 0) > at) return;
        this.#posting.delete(key);
        this.#posting.set(key, { hostIrq, set, vcpu, gsi, guestVector, at });
        const handled = hostIrq === null ? undefined : this.#handled.get(hostIrq);
        if (handled !== undefined) handled.sinceChange = 0;
        const decoded = this.#lastMsi.get(tid);
        if (decoded !== undefined && clock - decoded <= BESIDE_SECONDS) {
          this.#injections -= 1;
          this.#lastMsi.delete(tid);
        }
        return;
      }
      case "handler": {
        const known = this.#handled.get(finding.irq);
        if (known === undefined)
          this.#handled.set(finding.irq, { name: finding.name, count: 1, sinceChange: 1 });
        else {
          known.count += 1;
          known.sinceChange += 1;
        }
        return;
      }
      case "msi":
        this.#injections += 1;
        if (this.#lastMsi.size >= MOST_THREADS) this.#lastMsi.clear();
        this.#lastMsi.set(tid, clock);
        return;
      case "inhibit": {
        const { set, reason, name, inhibits, names } = finding;
        this.#inhibits.push({ set, reason, name, inhibits, names, tid, at });
        if (this.#inhibits.length > MOST_INHIBITS) this.#inhibits.shift();
        return;
      }
      case "ga log":
        this.#gaLog += 1;
    }
  }

  #leaveUnread({ event, text }: TraceLine): void {
    const known = this.#unread.get(event);
    if (known === undefined) this.#unread.set(event, { count: 1, first: text.slice(0, SAMPLE) });
    else known.count += 1;
  }
}
