/** The report as one self-contained page: charts, targets, tables, machine. */
import type { Verdict } from "../harness/check.js";
import { quantity, times } from "../harness/format.js";
import { isMatrix, printMachine } from "../harness/print.js";
import type { Figure, Report, SuiteReport, TrialReport } from "../harness/report.js";
import type { Measure } from "../harness/suite.js";
import { type Charts, charts } from "./charts.js";
import { escaped } from "./svg.js";

const STYLE = `
:root { color-scheme: light; }
body { font: 15px/1.5 system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif; color: #1b1b1b; background: #fff;
  margin: 0 auto; max-width: 1080px; padding: 32px 24px 64px; }
h1 { font-size: 26px; margin: 0 0 4px; } h2 { font-size: 19px; margin: 40px 0 4px; } h3 { font-size: 15px; margin: 20px 0 6px; }
p { margin: 4px 0 10px; max-width: 88ch; } .machine { max-width: none; } .faint { color: #595959; }
figure { margin: 20px 0; border: 1px solid #ddd; border-radius: 6px; overflow: hidden; } figure svg { display: block; width: 100%; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; margin: 6px 0 14px; font-variant-numeric: tabular-nums; }
th, td { padding: 4px 12px; text-align: right; border-bottom: 1px solid #e5e5e5; white-space: nowrap; }
th:first-child, td:first-child { text-align: left; } th { font-weight: 600; color: #444; border-bottom-color: #bbb; }
td small { color: #666; } .first { font-weight: 600; background: #eef5fa; }
.missed { color: #a33b00; font-weight: 600; } .met, .moonshot { color: #00664a; font-weight: 600; }
code { font: 13px ui-monospace, "DejaVu Sans Mono", monospace; }
`;

export function page(report: Report, verdicts: readonly Verdict[]): string {
  const { machine, date, quick, suites } = report;
  const drawn: Charts = charts(report);
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>irqbypass: the numbers</title>
<style>${STYLE}</style>
</head>
<body>
<h1>irqbypass: the numbers</h1>
<p class="faint machine">${printMachine(machine).map(escaped).join("<br>")}<br>${escaped(date.slice(0, 10))}, made by <code>npm run bench -- --html FILE</code></p>
<p>Every contestant runs in a process of its own and takes rounds in turn with the others; ratios are medians over those
rounds. Ratios are above 1 where the other takes longer than the first. Absolute times move with the machine.</p>
${quick ? "<p><strong>A quick run: it shows that everything works; its figures are rough.</strong></p>" : ""}
${Object.values(drawn)
  .map((chart) => `<figure>${chart}</figure>`)
  .join("\n")}
<h2>Targets</h2>
${targetsTable(verdicts)}
${suites.map(section).join("\n")}
</body>
</html>
`;
}

function section(suite: SuiteReport): string {
  const tables = isMatrix(suite)
    ? suite.measures.map((measure) => matrix(suite, measure))
    : suite.trials.map((trial) => list(suite, trial));
  const missing = new Map(
    suite.trials.flatMap(({ rows }) =>
      rows.flatMap(({ contestant, unavailable }) =>
        unavailable === undefined ? [] : [[contestant, unavailable]],
      ),
    ),
  );
  const notes = [...[...missing].map(([name, why]) => `${name}: not measured, ${why}.`), ...suite.notes];
  return `<h2>${escaped(suite.name)}</h2>
<p>${escaped(suite.about)}</p>
${tables.join("\n")}
${notes.map((note) => `<p class="faint">${escaped(note)}</p>`).join("\n")}`;
}

function matrix({ trials }: SuiteReport, { key, title, unit }: Measure): string {
  const names = (trials[0]?.rows ?? [])
    .map(({ contestant }) => contestant)
    .filter((name) => trials.some((trial) => figureOf(trial, name, key) !== undefined));
  if (names.length === 0) return "";
  const rows = trials.map((trial) => [
    escaped(trial.title),
    ...names.map((name, i) => {
      const figure = figureOf(trial, name, key);
      if (figure === undefined) return "-";
      const absolute = quantity(figure.median, unit);
      return i === 0 ? absolute : `${times(figure.ratio)} <small>${absolute}</small>`;
    }),
  ]);
  return `<h3>${escaped(title)}</h3>${table(["N", ...names], rows, 1)}`;
}

function list({ measures }: SuiteReport, trial: TrialReport): string {
  const used = measures.filter(({ key }) => trial.rows.some(({ figures }) => figures[key] !== undefined));
  const rows = trial.rows.map(({ contestant, figures }) => [
    escaped(contestant),
    ...used.flatMap(({ key, unit }, i) => {
      const figure = figures[key];
      const absolute = figure === undefined ? "-" : quantity(figure.median, unit);
      return i === 0 ? [figure === undefined ? "-" : times(figure.ratio), absolute] : [absolute];
    }),
  ]);
  return table([trial.title, "ratio", ...used.map(({ title }) => title)], rows);
}

function targetsTable(verdicts: readonly Verdict[]): string {
  const rows = verdicts.map(({ what, unit, limit, moonshot, value, verdict }) => {
    const text = (number: number | null) =>
      number === null ? "-" : unit === "ratio" ? times(number) : quantity(number, unit);
    return [
      escaped(what),
      text(value),
      text(limit),
      text(moonshot),
      `<span class="${verdict.replace(" ", "-")}">${verdict}</span>`,
    ];
  });
  return table(["", "measured", "below", "moonshot", ""], rows);
}

function table(head: readonly string[], rows: readonly (readonly string[])[], first?: number): string {
  const cells = (row: readonly string[], tag: string) =>
    row.map((cell, i) => `<${tag}${i === first ? ' class="first"' : ""}>${cell}</${tag}>`).join("");
  return `<div class="wide"><table><thead><tr>${cells(head.map(escaped), "th")}</tr></thead><tbody>${rows
    .map((row) => `<tr>${cells(row, "td")}</tr>`)
    .join("\n")}</tbody></table></div>`;
}

function figureOf(trial: TrialReport, contestant: string, measure: string): Figure | undefined {
  return trial.rows.find((row) => row.contestant === contestant)?.figures[measure];
}
