/** Compares a report with the targets. */
import type { Target } from "../targets.js";
import { quantity, times } from "./format.js";
import type { Report } from "./report.js";

export interface Verdict {
  readonly what: string;
  readonly unit: Target["unit"];
  readonly limit: number;
  readonly moonshot: number | null;
  /** null where the report does not have the figure. */
  readonly value: number | null;
  readonly verdict: "moonshot" | "met" | "missed" | "not measured";
}

export function check(report: Report, targets: readonly Target[]): Verdict[] {
  return targets.map(({ what, unit, limit, moonshot, value }) => {
    const found = value(report);
    const base = { what, unit, limit, moonshot: moonshot ?? null };
    if (found === undefined || !Number.isFinite(found))
      return { ...base, value: null, verdict: "not measured" };
    const verdict =
      found >= limit ? "missed" : moonshot !== undefined && found < moonshot ? "moonshot" : "met";
    return { ...base, value: found, verdict };
  });
}

/** The verdicts as text, and how many were met. */
export function printVerdicts(verdicts: readonly Verdict[]): string {
  const rows = verdicts.map(({ what, unit, limit, moonshot, value, verdict }) => {
    const text = (number: number) => (unit === "ratio" ? times(number) : quantity(number, unit));
    return {
      what,
      verdict,
      value: value === null ? "-" : text(value),
      share: value === null ? "-" : times(value / limit),
      limit: text(limit),
      moonshot: moonshot === null ? "-" : text(moonshot),
    };
  });
  const head = {
    verdict: "",
    what: "target",
    value: "measured",
    share: "of limit",
    limit: "limit",
    moonshot: "moonshot",
  };
  const width = (key: keyof typeof head) => Math.max(...[head, ...rows].map((row) => row[key].length));
  const lines = [head, ...rows].map((row) =>
    [
      row.verdict.padEnd(width("verdict")),
      row.what.padEnd(width("what")),
      ...(["value", "share", "limit", "moonshot"] as const).map((key) => row[key].padStart(width(key))),
    ].join("  "),
  );
  const met = verdicts.filter(({ verdict }) => verdict === "met" || verdict === "moonshot").length;
  const measured = verdicts.filter(({ verdict }) => verdict !== "not measured").length;
  return [
    "TARGETS",
    ...lines.map((line) => `  ${line}`),
    "",
    `${met} of ${measured} measured targets are met.`,
  ].join("\n");
}
