/**
 * One interrupt over many looks, and what they say of it together: used, idle or suspicious.
 */
import type { Evidence, VectorReport } from "./report.js";

/** The words of {@link Use}. */
export const USES = ["used", "idle", "suspicious", "unknown"] as const;
/**
 * "used": the guest has it posted, or interrupts of it came. "idle": none came, and one that came would have been
 * counted, or, where it may be posted, noticed. "suspicious": the host handled it though nothing is in the way of posting it, or KVM took its posting back
 * again and again. "unknown": nothing came through the host, and nothing tells whether it was posted.
 */
export type Use = (typeof USES)[number];

/** One interrupt over the run. */
export interface WatchedInterrupt {
  /** The device it is of, as {@link DeviceReport.address}. */
  readonly device: string;
  /** The process that held its VM when it was last seen; null where none was seen to. */
  readonly pid: number | null;
  /** The guest's name. */
  readonly vm: string | null;
  /** Linux interrupt number when it was last seen; null where it had none. */
  readonly irq: number | null;
  /** As {@link VectorReport.label}. */
  readonly label: string;
  /** What came of it over the run. */
  readonly verdict: Use;
  /** Looks that had it, of those of the whole run. */
  readonly looks: number;
  /** Of these, looks that saw it posted. */
  readonly posted: number;
  /** Looks in whose window, or since the look before, the host handled it. */
  readonly handled: number;
  /** Interrupts that the host handled in all windows whose counts are known, and between; null if none is. */
  readonly handledByHost: number | null;
  /** End of the last window in which the host handled it, ISO 8601. */
  readonly handledAt: string | null;
  /** What the verdict rests on. */
  readonly evidence: readonly Evidence[];
}

/** One look. */
export interface Look {
  /** Counted from 0 on. */
  readonly number: number;
  /** Its end, ISO 8601, and the length of its window. */
  readonly at: string;
  readonly seconds: number;
  readonly pid: number | null;
  readonly vm: string | null;
}

/** Changes from posted to remapped after which it is no single move of the guest any more. */
const RESTLESS = 3;
/** Looks at an interrupt that came while the run went on, before it may be suspicious: its VM may be starting. */
const SETTLED = 3;

/**
 * Looks, and seconds of their windows together, before silence says that one that may be posted is idle: an interrupt that
 * comes once a second finds its vCPU in the guest ten times in a row only where the guest hardly ever leaves it.
 */
export const ENOUGH = { looks: 3, seconds: 10 } as const;

const NEVER = -1;

/** That nothing was posted to any vCPU that was not in its guest. */
export const SILENCE: Evidence = {
  source: "/proc/interrupts",
  says: "PIN and PIW flat in all windows: no posted interrupt found its vCPU halted or outside of its guest",
};

/** Keeps some numbers of one interrupt, and the last report of it. */
export class Track {
  readonly #device: string;
  #vector: VectorReport;
  #look: Look;
  #looks = 0;
  #posted = 0;
  #handled = 0;
  #sum: number | null = null;
  #seconds = 0;
  #handledAt: string | null = null;
  #guestReceived = false;
  #postedSource = "";
  /** What follows is of its present life: the first look of it, and the last that saw it posted or handled. */
  #born: number;
  #lastPosted = NEVER;
  #lastHandled = NEVER;
  /** How often it was posted, and then not. */
  #fell = 0;
  #isPosted = false;

  constructor(device: string, vector: VectorReport, look: Look) {
    this.#device = device;
    this.#vector = vector;
    this.#look = look;
    this.#born = look.number;
  }

  /** Takes the next look that has it, the first one too. */
  add(vector: VectorReport, look: Look): void {
    const gone = look.number > this.#look.number + 1;
    const between = this.#looks === 0 || gone ? 0 : cameBetween(this.#vector, vector);
    if (gone || between === null || vector.anew || vector.irq !== this.#vector.irq)
      this.#beginAnew(look.number);
    const missed = between ?? 0;
    this.#vector = vector;
    this.#look = look;
    this.#looks += 1;
    if (vector.handledByHost !== null) {
      this.#sum = (this.#sum ?? 0) + vector.handledByHost + missed;
      this.#seconds += look.seconds;
    }
    if (missed > 0 && this.#isPosted) {
      this.#fell += 1;
      this.#isPosted = false;
    }
    if (missed > 0 || vector.verdict === "delivered by the host just now") {
      this.#handled += 1;
      this.#handledAt = look.at;
      this.#lastHandled = look.number;
    }
    if (vector.verdict === "probably posted") this.#guestReceived = true;
    if (vector.way === "around the host") {
      this.#posted += 1;
      this.#lastPosted = look.number;
      this.#postedSource = vector.evidence[0]?.source ?? "";
      this.#isPosted = true;
    } else if (vector.way === "through the host") {
      if (this.#isPosted) this.#fell += 1;
      this.#isPosted = false;
    }
  }

  /** It was freed and requested again: what was before says nothing of what the guest does with it now. */
  #beginAnew(number: number): void {
    this.#born = number;
    this.#lastPosted = NEVER;
    this.#lastHandled = NEVER;
    this.#fell = 0;
    this.#isPosted = false;
  }

  /**
   * What is to be said of it after the look with the number `last`. `notices`: what all posted interrupts of the host made
   * grow in the run, or null where nothing counts that.
   */
  judged(last: number, notices: number | null): WatchedInterrupt {
    const { verdict, evidence } = this.#decide(notices);
    const gone = { source: "/proc/interrupts", says: "it was gone at the end of the run" };
    return {
      device: this.#device,
      pid: this.#look.pid,
      vm: this.#look.vm,
      irq: this.#vector.irq,
      label: this.#vector.label,
      verdict,
      looks: this.#looks,
      posted: this.#posted,
      handled: this.#handled,
      handledByHost: this.#sum,
      handledAt: this.#handledAt,
      evidence: this.#look.number < last ? [...evidence, gone] : evidence,
    };
  }

  #decide(notices: number | null): { readonly verdict: Use; readonly evidence: readonly Evidence[] } {
    const vector = this.#vector;
    const seen = this.#seen();
    const by = (verdict: Use, ...more: Evidence[]) => ({ verdict, evidence: [...seen, ...more] });
    if (this.#lastPosted >= 0 && this.#lastHandled > this.#lastPosted)
      return by("suspicious", run("it was posted first, and then the host handled it"));
    if (this.#fell >= RESTLESS)
      return by("suspicious", run(`its posting was taken back ${this.#fell} times`));
    if (vector.able === "yes" && this.#isHandledStill())
      return by("suspicious", run("host and VMM let it be posted, and still the host handled it"));
    if (this.#isPosted) return by("used");
    if (this.#handled > 0) return by("used", ...reasonOf(vector));
    if (this.#guestReceived)
      return by("used", { source: "you", says: "saw that the guest received interrupts of it" });
    if (this.#sum === null) return by("unknown");
    if (vector.way === "through the host")
      return by(
        "idle",
        run("one that came would have gone through the host and been counted"),
        this.#expected(),
      );
    if (vector.able === "yes" && notices === 0) {
      if (this.#looks >= ENOUGH.looks && this.#seconds >= ENOUGH.seconds)
        return by("idle", SILENCE, this.#expected());
      const needs = `posted or not used: for idle that needs ${ENOUGH.looks} looks and ${ENOUGH.seconds} s`;
      return by("unknown", SILENCE, run(needs), this.#expected());
    }
    const counted = notices === null || notices === 0 ? "" : "; PIN or PIW grew, and neither tells for whom";
    return by("unknown", run(`posted or not used: no table of the IOMMU and no trace told which${counted}`));
  }

  /** How much the silence is worth: what a run saw is no more than what it would have seen. */
  #expected(): Evidence {
    const looks = `${this.#looks} look${this.#looks === 1 ? "" : "s"}`;
    return run(
      `${looks} of ${this.#seconds.toFixed(1)} s together saw none; ${cameBefore(this.#vector.total)}`,
    );
  }

  /** Not only while its VM started: in the later half of its life, and not posted since. */
  #isHandledStill(): boolean {
    const last = this.#look.number;
    const settled = this.#born === 0 || last - this.#born >= SETTLED;
    return settled && this.#lastHandled >= (this.#born + last) / 2 && this.#lastHandled > this.#lastPosted;
  }

  #seen(): Evidence[] {
    const looks = `of ${this.#looks} look${this.#looks === 1 ? "" : "s"}`;
    const posted =
      this.#posted === 0 ? [] : [{ source: this.#postedSource, says: `posted in ${this.#posted} ${looks}` }];
    const says =
      this.#handled > 0
        ? `the host handled ${this.#sum ?? 0} of it in ${this.#handled} ${looks}`
        : this.#sum === null
          ? "its count was not known in any window"
          : `flat for ${this.#seconds.toFixed(1)} s`;
    return [...posted, { source: "/proc/interrupts", says }];
  }
}

/** What the host handled after one window and before the next; null if it was freed and requested again. */
function cameBetween(before: VectorReport, after: VectorReport): number | null {
  if (before.irq !== after.irq || before.total === null || after.total === null) return 0;
  const came = after.total - (after.handledByHost ?? 0) - before.total;
  // 32 bits wide on each CPU: a high one may have begun at 0 again, and how far it came is not known.
  if (came < 0) return before.total >= 2 ** 31 ? 0 : null;
  return after.anew ? 0 : came;
}

function run(says: string): Evidence {
  return { source: "the whole run", says };
}

function cameBefore(total: number | null): string {
  if (total === null) return "nothing tells how many were to be expected";
  if (total === 0) return "none came since it was requested either";
  return `${total} came before, so that it is used at times: how many were to be expected is not known`;
}

/** Why the host handled it, where that is known. */
function reasonOf(vector: VectorReport): Evidence[] {
  if (vector.byDesign)
    return [{ source: "its kind", says: "it never bypasses the host, and that is no fault" }];
  if (vector.able === "no")
    return [{ source: "the chain", says: "it cannot be posted on this host as it is" }];
  return [];
}
