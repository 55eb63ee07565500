import { middle } from "../harness/latencies.js";
import type { Report, Row } from "../harness/report.js";
import { draw, type Series, timeAxis } from "./frame.js";

const TICKS = [0, 0.5, 0.9, 0.99, 0.999];
/** Percentiles grow from the left, every further nine takes the same room. */
const place = (share: number) => Math.min(1, -Math.log10(Math.max(1 - share, 1e-9)) / 3.3);

/** Latencies by percentile for one trial of the latency suite; undefined where the report lacks it. */
export function latencyChart(report: Report, trial: string): string | undefined {
  const found = report.suites
    .find(({ name }) => name === "latency")
    ?.trials.find(({ title }) => title === trial);
  const rows = found?.rows.filter(({ latencies }) => latencies !== undefined) ?? [];
  if (rows.length === 0) return undefined;
  const series = rows.map((row): Series => {
    const points = percentiles(row);
    // Marks where the axis has its ticks, as far as the curve goes.
    const marks = TICKS.slice(1).flatMap((tick) => {
      const next = points.find(([share]) => share >= tick);
      return next === undefined ? [] : [[tick, next[1]] as const];
    });
    return { name: row.contestant, points, marks };
  });
  return draw({
    title: `Latency ${trial}`,
    subtitle:
      "From the signal until the other thread has it. Further to the right are the rarer, slower ones; lower is better.",
    x: {
      title: "share of the signals that took at most so long",
      place,
      ticks: TICKS.map((value) => ({ value, text: `${Math.round(value * 1000) / 10} %` })),
    },
    y: timeAxis(
      "latency",
      series.flatMap(({ points }) => points.map(([, ns]) => ns)),
    ),
    series,
  });
}

/** The distribution as a curve; it ends where fewer than two signals are left, since one alone says little. */
function percentiles({ latencies = [] }: Row): [number, number][] {
  const total = latencies.reduce((sum, [, count]) => sum + count, 0);
  const points: [number, number][] = [];
  let below = 0;
  for (const [bucket, count] of latencies) {
    points.push([below / total, middle(bucket)]);
    below += count;
    if (below / total <= 0.9995 && below <= total - 2) points.push([below / total, middle(bucket)]);
  }
  return points.filter(([share]) => share <= 0.9995 && share * total <= total - 2);
}
