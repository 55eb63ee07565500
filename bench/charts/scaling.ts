import type { Report } from "../harness/report.js";
import { draw, type Series, timeAxis } from "./frame.js";

/** What registering costs as more stand registered, on two logarithmic axes; undefined where the report lacks it. */
export function scalingChart(report: Report): string | undefined {
  const suite = report.suites.find(({ name }) => name === "register");
  if (suite === undefined) return undefined;
  const names = suite.trials[0]?.rows.map(({ contestant }) => contestant) ?? [];
  const series = names
    .map((name): Series => {
      const points = suite.trials.flatMap(({ parameters, rows }) => {
        const figure = rows.find(({ contestant }) => contestant === name)?.figures.register;
        return figure === undefined ? [] : [[parameters.n ?? 1, figure.median] as const];
      });
      return { name, points, marks: points };
    })
    .filter(({ points }) => points.length > 0);
  const sizes = suite.trials.map(({ parameters }) => parameters.n ?? 1);
  const low = Math.log10(Math.min(...sizes));
  const high = Math.log10(Math.max(...sizes));
  const powers = [10, 100, 1_000, 10_000, 100_000, 1_000_000].filter((n) => n <= Math.max(...sizes));
  return draw({
    title: "Registering a consumer, as more of them stand registered",
    subtitle:
      "Time per registration, median of interleaved rounds. Both axes are logarithmic; lower is better.",
    x: {
      title: "consumers registered already",
      place: (n) => (Math.log10(n) - low) / (high - low),
      ticks: powers.map((value) => ({ value, text: value.toLocaleString("en-US") })),
    },
    y: timeAxis(
      "time per registration",
      series.flatMap(({ points }) => points.map(([, ns]) => ns)),
    ),
    series,
  });
}
