/**
 * What a run shows of itself while it goes on.
 */
import type { Interrupt, Path } from "./result.js";
import { COLUMN, type Row, rows } from "./rows.js";
import { cut, type Line, line, type Span, span } from "./style.js";
import { type Layout, table } from "./table.js";
import { full, perSecond, plural, seconds } from "./units.js";

/** A run at one moment. */
export interface Moment {
  readonly elapsed: number;
  readonly seconds: number;
  readonly interrupts: readonly Interrupt[];
  /** Signals per second of each interrupt since the last moment. */
  readonly rates: readonly number[];
  /** The devices signal no more; what is still to come, in words. */
  readonly ending?: string;
}

const { vm, interrupt, path, rate, lost, p50, p99, reason } = COLUMN;
const byVm = (row: Row): string => row.vm;
const LAYOUTS: readonly [...Layout<Row>[], Layout<Row>] = [
  { columns: [vm, interrupt, path, rate, lost, p50, p99, reason] },
  { columns: [vm, interrupt, path, rate, lost, p50, p99] },
  { columns: [interrupt, path, rate, lost, p50], heading: byVm },
  { columns: [interrupt, path, rate], heading: byVm },
];

/** Lines around the table: a blank, the head and a blank above, a blank and a hint below. */
const FRAME = 5;
/** The table's own title line. */
const TITLES = 1;

/** The live table in at most `height` lines of at most `columns` characters. */
export function frame(moment: Moment, columns: number, height: number): Line[] {
  const room = height - FRAME - TITLES;
  if (room <= 0) return [cut(head(moment), columns)].slice(0, height);
  const shown = rows(moment.interrupts, moment.rates, room);
  const hint = moment.ending ?? "Ctrl-C ends the run with its summary";
  const lines = [
    [],
    head(moment),
    [],
    ...atMost(table(LAYOUTS, shown, columns).lines, TITLES + room),
    [],
    line(span(`  ${hint}`, "dim")),
  ];
  return lines.map((one) => cut(one, columns));
}

/** Headings and groups may still be more than there is room for. */
function atMost(lines: readonly Line[], limit: number): readonly Line[] {
  if (lines.length <= limit) return lines;
  const kept = lines.slice(0, limit - 1);
  return [...kept, line(span(`  and ${full(lines.length - kept.length)} more`, "dim"))];
}

function head(moment: Moment): Line {
  return line(
    span(moment.ending === undefined ? "running" : "ending", "bold"),
    `  ${time(moment)}  ${perSecond(total(moment))}  `,
    lossSpan(moment),
  );
}

/** One line for where there is no terminal. */
export function progressLine(moment: Moment): Line {
  const rates = [...pathRates(moment)].map(([path, rate]) => `${path} ${perSecond(rate)}`);
  return line([time(moment), ...rates, ""].join("  "), lossSpan(moment));
}

function time(moment: Moment): string {
  return `${moment.elapsed.toFixed(1)} of ${seconds(moment.seconds)}`;
}

function total(moment: Moment): number {
  return moment.rates.reduce((sum, one) => sum + one, 0);
}

function lossSpan(moment: Moment): Span {
  const lost = moment.interrupts.reduce((sum, one) => sum + one.lost, 0);
  return lost === 0 ? span("nothing lost", "dim") : span(`${full(lost)} lost`, "bad");
}

function pathRates(moment: Moment): Map<Path, number> {
  const sums = new Map<Path, number>();
  moment.interrupts.forEach((one, i) => {
    sums.set(one.path, (sums.get(one.path) ?? 0) + (moment.rates[i] ?? 0));
  });
  return sums;
}

/** What is about to run, in one line. */
export function introduction(source: string, interrupts: readonly Pick<Interrupt, "vm" | "device">[]): Line {
  const vms = new Set(interrupts.map((one) => one.vm)).size;
  const devices = new Set(interrupts.map((one) => one.device)).size;
  const counts = [plural(vms, "VM"), plural(devices, "device"), plural(interrupts.length, "interrupt")];
  return line(span("irqbypass run", "bold"), `  ${source}: ${counts.join(", ")}`);
}
