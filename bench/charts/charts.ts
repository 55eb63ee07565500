import type { Report } from "../harness/report.js";
import { ASLEEP, SPINNING } from "../suites/latency.js";
import { latencyChart } from "./latency.js";
import { scalingChart } from "./scaling.js";

/** SVG by the name of its file, those that the report has figures for. */
export type Charts = Readonly<Record<string, string>>;

export function charts(report: Report): Charts {
  const all = {
    scaling: scalingChart(report),
    "latency-spinning": latencyChart(report, SPINNING),
    "latency-asleep": latencyChart(report, ASLEEP),
  };
  return Object.fromEntries(
    Object.entries(all).filter((one): one is [string, string] => one[1] !== undefined),
  );
}
