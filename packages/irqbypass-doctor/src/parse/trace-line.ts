/**
 * Lines of a trace: the part before the event's own text, which all events share, as the kernel prints it (trace_pipe, the
 * file `trace`), and as trace-cmd report and perf script do. Pure.
 */

/** One event as the kernel printed it. */
export interface TraceLine {
  /** Thread that ran when it happened. */
  readonly tid: number;
  readonly cpu: number;
  /** Seconds of the trace clock. */
  readonly at: number;
  /** Without the system: "irq_handler_entry". */
  readonly event: string;
  readonly text: string;
}

/** A gap: the buffer of a CPU was full. `events` is 0 where the kernel does not say how many. */
export interface TraceGap {
  readonly lost: number;
}

// "           qemu-4711    [003] d.h1.  1234.567890: irq_handler_entry: irq=42 name=vfio-msix[0](0000:3b:00.0)". The
// name of the task may hold blanks and dashes, the flags after the CPU and the thread group before it are optional.
// trace-cmd report prints the same without flags, the texts in a column of their own, and some of its versions the system.
const FTRACE =
  /^ *(?:.{1,16}?)-(\d{1,10}) +(?:\((?: *\d+|-+)\) +)?\[(\d{1,6})\] +(?:[^\s:]{4,8} +)?(\d{1,15}(?:\.\d{1,9})?): +(?:[a-z_]\w*:(?=[a-z_]))?([a-z_]\w*): *(.*)$/i;
// perf script: " CPU 0/KVM  4711/4712  [003]  1234.567890:  kvm:kvm_pi_irte_update: PI is ...", a period before the event
// where that was asked for. The event has its system.
const PERF =
  /^ *(?:\S.{0,15}?) +(?:\d{1,10}\/)?(\d{1,10}) +\[(\d{1,6})\] +(\d{1,15}\.\d{1,9}): +(?:\d{1,15} +)?[a-z_]\w*:([a-z_]\w*): *(.*)$/i;
// "CPU:3 [LOST 5 EVENTS]" of the kernel, "CPU:3 [5 EVENTS DROPPED]" of trace-cmd.
const GAP = /^CPU:\d+ \[(?:LOST )?(?:(\d{1,15}) )?EVENTS?(?: DROPPED)?\]$/;

/** Parses one line; null for one that is neither an event nor a gap, such as a heading or the rest of a name. */
export function parseTraceLine(given: string): TraceLine | TraceGap | null {
  // What came through another system's mail or editor ends in CR LF.
  const line = given.endsWith("\r") ? given.slice(0, -1) : given;
  const gap = GAP.exec(line);
  if (gap !== null) return { lost: Number(gap[1] ?? 0) };
  const match = FTRACE.exec(line) ?? PERF.exec(line);
  if (match === null) return null;
  return {
    tid: Number(match[1]),
    cpu: Number(match[2]),
    at: Number(match[3]),
    event: match[4]!,
    text: match[5]!,
  };
}

/** The longest line that is kept whole, in characters; the kernel's own limit is a page. */
const LONGEST = 8192;

/** Cuts a stream of text into lines. */
export class LineCutter {
  #rest = "";

  /** The lines that `text` completes. */
  push(text: string): string[] {
    const lines = (this.#rest + text).split("\n");
    this.#rest = lines.pop()!.slice(0, LONGEST);
    return lines;
  }
}
