/**
 * Two storms side by side as text. Pure.
 */
import type { ComparedCost, ComparedSide, Ratio, StormComparison } from "../storm/compare.js";
import { figure } from "../storm/judge.js";
import type { Spread } from "../storm/steps.js";
import { micro, whole, wrap } from "./storm-text.js";

/** The whole text for `columns` columns (at least 66), with a newline at its end. */
export function comparisonText(comparison: StormComparison, columns: number): string {
  const { host, before, after, notes, verdict } = comparison;
  const lines = [
    ...wrap(verdict.says, columns, ""),
    "",
    ...side("before", before, columns),
    ...side("after", after, columns),
  ];
  if (host.length > 0) {
    lines.push(
      "",
      ...wrap("One more irqfd in a small VM, against all irqfds of the host (microseconds)", columns, ""),
      ...table("assign", host),
      "",
      ...table("deassign", host),
    );
  }
  for (const note of notes) lines.push("", ...wrap(`Note: ${note}`, columns, ""));
  return `${lines.join("\n")}\n`;
}

function side(
  name: string,
  { from, at, kernel, container, growth }: ComparedSide,
  columns: number,
): string[] {
  const slope =
    growth === null
      ? "too few counts for a line"
      : `each further irqfd on the host added ${figure(growth.nsPerIrqfd)} ns to an assign (${figure(growth.low)} to ${figure(growth.high)})`;
  const time = at.replace("T", " ").replace(/\.\d+Z$/, " UTC");
  return [
    ...wrap(`${name}: ${from}, Linux ${kernel}, ${time}`, columns, ""),
    ...wrap(`kept in: ${container.is} (${container.because})`, columns, "  "),
    ...wrap(slope, columns, "  "),
  ];
}

function table(which: "assign" | "deassign", host: readonly ComparedCost[]): string[] {
  const head = `${"   irqfds"}   ${`${which} before`.padEnd(23)}${"after".padEnd(23)}before/after`;
  return [
    head,
    ...host.map(({ irqfds, before, after, ratio }) =>
      `${whole(irqfds).padStart(9)}   ${spread(before[which])}${spread(after[which])}${times(ratio[which])}`.trimEnd(),
    ),
  ];
}

function spread({ median, p10, p90 }: Spread): string {
  return `${micro(median).padEnd(8)}${`${micro(p10)}-${micro(p90)}`.padEnd(15)}`;
}

function times({ median, low, high }: Ratio): string {
  const figure = (value: number) => (value >= 100 ? value.toFixed(0) : value.toPrecision(3));
  return `${figure(median).padEnd(6)} ${figure(low)}-${figure(high)}`;
}
