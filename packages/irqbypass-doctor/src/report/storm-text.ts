/**
 * The storm's report as text: a table with a bar beside each cost, the verdict with its figures, and, apart from it,
 * what one VM's own list costs. Pure.
 */

import { visible } from "../source/visible.js";
import { figure, type Growth, type StormVerdict } from "../storm/judge.js";
import { bothWays, type Spread, type StormStep } from "../storm/steps.js";
import type { StormReport } from "../storm/storm.js";

const HEADLINES: Readonly<Record<StormVerdict, string>> = {
  list: "This kernel shows the list of kernel bugzilla 217379.",
  "no list": "This kernel does not show the list of kernel bugzilla 217379.",
  "cannot show": "This host cannot show whether its kernel has the list of kernel bugzilla 217379.",
  "could not tell": "Could not tell whether this kernel shows the list of kernel bugzilla 217379.",
};

/** The whole text for `columns` columns (at least 66), with a newline at its end. */
export function stormText(report: StormReport, columns: number): string {
  const { measured, steps } = report;
  const most = steps.at(-1)?.count ?? 0;
  const lines = [
    ...wrap(HEADLINES[report.verdict], columns, ""),
    "",
    ...wrap(report.says, columns, "  "),
    "",
    ...wrap(
      `Linux ${measured.kernel}, ${measured.at.replace("T", " ").replace(/\.\d+Z$/, " UTC")}, ` +
        `up to ${whole(most)} irqfds, ${(measured.tookMs / 1000).toFixed(1)} s` +
        `${report.ended === "complete" ? "" : ` (${report.ended})`}`,
      columns,
      "",
    ),
    "",
  ];
  if (steps.length > 0) {
    lines.push(
      ...wrap("One more irqfd in a small VM, against all irqfds of the host (microseconds)", columns, ""),
      ...table(steps.map(smallRow), columns),
      "",
      ...wrap("One more irqfd in a VM that itself holds many (microseconds)", columns, ""),
      ...table(steps.map(crowdedRow), columns),
      "",
      ...wrap(apart(report), columns, ""),
    );
  }
  if (report.notes.length > 0) {
    lines.push("", ...report.notes.flatMap((note) => wrap(`Note: ${note}`, columns, "")));
  }
  return `${lines.join("\n")}\n`;
}

interface Row {
  readonly irqfds: number;
  readonly assign: Spread;
  readonly deassign: Spread;
}

function smallRow(step: StormStep): Row {
  return { irqfds: step.count, ...bothWays(step) };
}

function crowdedRow({ crowded }: StormStep): Row {
  return crowded;
}

/** Columns that a row takes without its two bars. */
const FIXED = 57;

function table(rows: readonly Row[], columns: number): string[] {
  const bar = Math.max(4, Math.min(24, Math.floor((columns - FIXED) / 2)));
  const mostAssign = Math.max(...rows.map((row) => row.assign.median));
  const mostDeassign = Math.max(...rows.map((row) => row.deassign.median));
  const half = (spread: Spread, most: number) =>
    `${micro(spread.median).padStart(8)} ${`${micro(spread.p10)}-${micro(spread.p90)}`.padEnd(13)} ` +
    drawBar(spread.median / most, bar).padEnd(bar);
  return [
    `${"   irqfds   assign p10-p90".padEnd(34 + bar)}deassign p10-p90`,
    ...rows.map(({ irqfds, assign, deassign }) =>
      `${whole(irqfds).padStart(9)} ${half(assign, mostAssign)} ${half(deassign, mostDeassign)}`.trimEnd(),
    ),
  ];
}

/** A bar of at most `width` characters, in eighths. */
function drawBar(part: number, width: number): string {
  const eighths = Math.max(1, Math.round(part * width * 8));
  const rest = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"][eighths % 8]!;
  return "█".repeat(Math.floor(eighths / 8)) + rest;
}

/** What is a list too, but another one. */
function apart({ vm, host }: StormReport): string {
  if (vm.deassign === null || vm.assign === null) {
    return "Too few counts to say what one VM's own list costs.";
  }
  const walk = (growth: Growth) => `${figure(growth.nsPerIrqfd)} ns`;
  const deassign =
    vm.deassign.low > 0
      ? `Apart from that: a deassign walks the irqfds of its own VM, here ${walk(vm.deassign)} for each that the VM holds. ` +
        "That list is known, is not the one of the bug, and other VMs do not feel it."
      : "Apart from that: a deassign walks the irqfds of its own VM; here that walk is hidden by noise.";
  const scan =
    vm.assign.low > Math.max(0.5, host.assign?.high ?? 0)
      ? ` An assign walks it too, ${walk(vm.assign)} for each: kernels up to 6.16 look there for duplicates.`
      : "";
  return deassign + scan;
}

/** Microseconds with three significant digits, at most two decimals. */
export function micro(ns: number): string {
  const us = ns / 1000;
  return us >= 100 ? us.toFixed(0) : us >= 10 ? us.toFixed(1) : us.toFixed(2);
}

/** A whole number with commas. */
export function whole(value: number): string {
  return value.toLocaleString("en-US");
}

/** Breaks a sentence into lines of at most `columns` characters, each with `indent`. */
export function wrap(text: string, columns: number, indent: string): string[] {
  const lines: string[] = [];
  let line = indent;
  for (const word of visible(text).split(" ")) {
    if (line.length + 1 + word.length > columns && line !== indent) {
      lines.push(line);
      line = indent;
    }
    line += line === indent ? word : ` ${word}`;
  }
  lines.push(line);
  return lines;
}
