/**
 * A report of `--storm --json` that was kept: read again, with nothing taken on trust.
 */
import { FormatError } from "../source/error.js";
import { type Fields, json, number, object, string } from "../source/fields.js";
import type { Growth, StormVerdict } from "./judge.js";
import type { PairCost, Spread, StormStep } from "./steps.js";

/** What a comparison takes of a report. */
export interface SavedStorm {
  readonly verdict: StormVerdict;
  readonly says: string;
  readonly at: string;
  readonly kernel: string;
  readonly steps: readonly StormStep[];
  readonly growth: Growth | null;
}

const VERDICTS: readonly StormVerdict[] = ["list", "no list", "cannot show", "could not tell"];
/** More than a storm has, which measures at two counts a decade. */
const MOST_STEPS = 100;

/** @throws FormatError for what is no report of a storm, naming the field. */
export function parseStorm(text: string): SavedStorm {
  const report = object(json(text), "the report");
  if (report.format !== "irqbypass-storm/1")
    throw new FormatError("is no report of --storm --json: its format is not irqbypass-storm/1");
  const measured = object(report.measured, "measured");
  const at = string(measured, "at");
  if (Number.isNaN(Date.parse(at))) throw new FormatError("measured.at is no time");
  const verdict = VERDICTS.find((one) => one === report.verdict);
  if (verdict === undefined) throw new FormatError(`verdict is none of ${VERDICTS.join(", ")}`);
  const { steps } = report;
  if (!Array.isArray(steps) || steps.length > MOST_STEPS) throw new FormatError("steps is no list of steps");
  return {
    verdict,
    says: string(report, "says"),
    at: new Date(at).toISOString(),
    kernel: string(measured, "kernel"),
    steps: steps.map((step: unknown, index) => stepOf(object(step, `steps[${index}]`))),
    growth: growthOf(object(report.host, "host").assign),
  };
}

function stepOf(step: Fields): StormStep {
  const crowded = object(step.crowded, "crowded");
  return {
    count: amount(step, "count"),
    up: costOf(step.up, "up"),
    down: step.down === null ? null : costOf(step.down, "down"),
    crowded: { irqfds: amount(crowded, "irqfds"), ...costOf(crowded, "crowded") },
  };
}

function costOf(value: unknown, name: string): PairCost {
  const cost = object(value, name);
  return { assign: spreadOf(cost.assign, "assign"), deassign: spreadOf(cost.deassign, "deassign") };
}

function spreadOf(value: unknown, name: string): Spread {
  const spread = object(value, name);
  const [p10, median, p90] = [amount(spread, "p10"), amount(spread, "median"), amount(spread, "p90")];
  if (!(p10 <= median && median <= p90))
    throw new FormatError(`p10, median and p90 of ${name} do not ascend`);
  return { samples: amount(spread, "samples"), p10, median, p90 };
}

/** A number above 0: costs are divided by each other. */
function amount(fields: Fields, name: string): number {
  const value = number(fields, name);
  if (!(value > 0 && Number.isFinite(value))) throw new FormatError(`${name} is not above 0`);
  return value;
}

function growthOf(value: unknown): Growth | null {
  if (value === null) return null;
  const growth = object(value, "host.assign");
  return {
    nsPerIrqfd: number(growth, "nsPerIrqfd"),
    low: number(growth, "low"),
    high: number(growth, "high"),
    baseNs: number(growth, "baseNs"),
  };
}
