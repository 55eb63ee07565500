/**
 * A long run of looks at one host, and what it says of each interrupt. What one look leaves open, "able, not seen", many
 * may settle.
 */
import type { DeviceReport, ExitCode, Report } from "./report.js";
import { type Look, SILENCE, Track, USES, type Use, type WatchedInterrupt } from "./track.js";

/** Plain data; the last line of `--watch --for`, with `--json`. */
export interface WatchReport {
  /** The format of this data; another number is another format. */
  readonly format: "irqbypass-watch/1";
  /** One sentence, and the exit code that goes with it. */
  readonly verdict: {
    /** One sentence. */
    readonly says: string;
    /** The exit code of the command. */
    readonly exit: ExitCode;
  };
  /** What was looked at, and how long. */
  readonly measured: {
    /** "this host", a mounted root, or a capture. */
    readonly from: string;
    /** The release, as uname has it. */
    readonly kernel: string;
    /** Start of the first window, ISO 8601. */
    readonly began: string;
    /** End of the last window, ISO 8601. */
    readonly ended: string;
    /** Seconds of all windows together: what was seen. */
    readonly seconds: number;
    /** How many looks there were. */
    readonly looks: number;
  };
  /** Each interrupt that a look had. */
  readonly interrupts: readonly WatchedInterrupt[];
  /** Sentences: what else the reader should know. */
  readonly notes: readonly string[];
}

/** Seconds below which it is said that the run was short. */
const SHORT = 60;

/** Takes the reports of one run in their order, and keeps of them what the verdicts need. */
export class Watch {
  readonly #tracks = new Map<string, Track>();
  #looks = 0;
  #seconds = 0;
  #wakeups = 0;
  /** What posted interrupts made grow, in all windows together; null where some window does not tell. */
  #notices: number | null = 0;
  #began = "";
  #last: Report | undefined;
  /** By process: looks in which counts of eventfds grew that nobody reads. */
  readonly #unread = new Map<number, number>();

  add(report: Report): void {
    const { at, seconds } = report.measured;
    if (this.#last === undefined) this.#began = new Date(Date.parse(at) - seconds * 1000).toISOString();
    const look = { number: this.#looks, at, seconds };
    for (const { pid, name, devices, eventfds } of report.vms) {
      for (const device of devices) this.#device(device, { ...look, pid, vm: name });
      if (eventfds.some(({ growing }) => growing)) this.#unread.set(pid, (this.#unread.get(pid) ?? 0) + 1);
    }
    for (const device of report.unclaimed) this.#device(device, { ...look, pid: null, vm: null });
    for (const { ofDevices, grew } of report.counters) if (ofDevices) this.#wakeups += grew ?? 0;
    this.#notice(report);
    this.#looks += 1;
    this.#seconds += seconds;
    this.#last = report;
  }

  #notice({ counters }: Report): void {
    const told = counters.filter(({ ofPosted }) => ofPosted);
    const both = told.length === 2 && told.every(({ grew }) => grew !== null);
    const sum = told.reduce((all, { grew }) => all + (grew ?? 0), 0);
    this.#notices = both && this.#notices !== null ? this.#notices + sum : null;
  }

  #device({ address, vectors }: DeviceReport, look: Look): void {
    const seen = new Map<string, number>();
    for (const vector of vectors) {
      const nth = seen.get(vector.label) ?? 0;
      seen.set(vector.label, nth + 1);
      const key = JSON.stringify([address, vector.label, nth]);
      const track = this.#tracks.get(key) ?? new Track(address, vector, look);
      this.#tracks.set(key, track);
      track.add(vector, look);
    }
  }

  /** What the run says so far; undefined before the first look. */
  report(): WatchReport | undefined {
    const last = this.#last;
    if (last === undefined) return undefined;
    const interrupts = [...this.#tracks.values()].map((track) =>
      track.judged(this.#looks - 1, this.#notices),
    );
    const count = (use: Use) => interrupts.filter(({ verdict }) => verdict === use).length;
    return {
      format: "irqbypass-watch/1",
      verdict: {
        says: sentence(interrupts.length, count),
        exit: count("suspicious") > 0 ? 1 : last.verdict.exit,
      },
      measured: {
        from: last.measured.from,
        kernel: last.measured.kernel,
        began: this.#began,
        ended: last.measured.at,
        seconds: this.#seconds,
        looks: this.#looks,
      },
      interrupts,
      notes: this.#notes(interrupts),
    };
  }

  #notes(interrupts: readonly WatchedInterrupt[]): string[] {
    const notes: string[] = [];
    const idle = interrupts.some(({ verdict }) => verdict === "idle");
    if (idle && this.#seconds < SHORT)
      notes.push(
        `Idle is what ${this.#seconds.toFixed(1)} s showed: an interrupt that comes seldom needs a longer run (--for 10m).`,
      );
    const unknown = interrupts.filter(({ verdict }) => verdict === "unknown").length;
    if (interrupts.some(({ evidence }) => evidence.includes(SILENCE)))
      notes.push(
        "Idle by PIN and PIW is what the run saw: one that came seldom, each time to a vCPU that was in its guest just then, left no trace. The longer the run, the surer.",
      );
    if (unknown > 0 && this.#wakeups > 0)
      notes.push(
        `PIW grew by ${this.#wakeups}: interrupts of assigned devices woke halted vCPUs, so of those that are posted or unknown at least one is used.`,
      );
    if (unknown > 0)
      notes.push(
        "What settles those that are unknown: the table of the IOMMU or a trace, see what could not be seen in the last report; or the guest's own counts, with --guest-received.",
      );
    for (const [pid, looks] of this.#unread)
      notes.push(
        `Process ${pid}: counts of eventfds grew and nobody read them, in ${looks} of ${this.#looks} looks.`,
      );
    return notes;
  }
}

function sentence(total: number, count: (use: Use) => number): string {
  if (total === 0) return "No interrupt of an assigned device was seen in the whole run.";
  const sums = USES.filter((use) => count(use) > 0).map((use) => `${count(use)} ${use}`);
  return `Of ${total} interrupt${total === 1 ? "" : "s"} of assigned devices: ${sums.join(", ")}.`;
}
