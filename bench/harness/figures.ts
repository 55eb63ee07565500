/**
 * The recorded run in the project's documents. What stands between two markers is made from the report:
 *
 *     <!-- bench:SUITE -->            all tables of a suite, and what could not be measured
 *     <!-- bench:SUITE/TABLE -->      one of them: a measure's key, or its number where each trial is a table
 *     <!-- bench:machine -->          where and when it was measured
 *     <!-- bench:targets -->          every target, and whether it is met
 *     <!-- bench:chart PATH -->       a chart as an image, by its path from the document
 *     <!-- /bench -->
 *
 *     <!-- fig:SUITE/TRIAL/CONTESTANT/MEASURE -->66.0 ns<!-- /fig -->        one median, within a sentence
 *     <!-- fig:SUITE/TRIAL/CONTESTANT/MEASURE ratio -->1.20x<!-- /fig -->    its ratio to the first contestant
 */
import { charts } from "../charts/charts.js";
import { suites } from "../suites/index.js";
import { targets } from "../targets.js";
import { check, printVerdicts } from "./check.js";
import { quantity, times } from "./format.js";
import { printApart, printMachine, printTables, reasons } from "./print.js";
import { figure, type Report } from "./report.js";

const BLOCK = /(<!-- bench:([^>]+?) -->\n)[\s\S]*?(<!-- \/bench -->)/g;
const FIGURE = /(<!-- fig:([^>]+?) -->)[\s\S]*?(<!-- \/fig -->)/g;

/** The document with everything between its markers made anew. Throws for a marker that names nothing. */
export function fill(document: string, report: Report): string {
  return document
    .replace(BLOCK, (_, open: string, name: string, close: string) => {
      const text = name.startsWith("chart ")
        ? image(report, name.slice("chart ".length))
        : `\`\`\`console\n${block(report, name).join("\n").trimEnd()}\n\`\`\``;
      return `${open}\n${text}\n\n${close}`;
    })
    .replace(FIGURE, (_, open: string, name: string, close: string) => open + inline(report, name) + close);
}

function block(report: Report, name: string): string[] {
  if (name === "machine") return machine(report);
  if (name === "targets") return printVerdicts(check(report, targets)).split("\n").slice(1);
  const [suiteName = "", table] = name.split("/");
  if (!suites.some((one) => one.name === suiteName)) throw new Error(`bench:${name}: there is no such suite`);
  const suite = report.suites.find((one) => one.name === suiteName);
  if (suite === undefined) return [`The recorded run has no suite ${suiteName}.`];
  const tables = printTables(suite);
  if (table === undefined) {
    const missing = [...reasons(suite)].map(([contestant, why]) => `  ${contestant}: not measured, ${why}`);
    const apart = printApart(suite);
    const head = apart.length > 0 ? [...apart, ""] : [];
    return [...head, ...tables.flatMap(({ text }) => [...text, ""]), ...missing];
  }
  const found = tables.find((one) => one.name === table);
  if (found === undefined) {
    const allowed = tables.map((one) => one.name).join(", ");
    throw new Error(`bench:${name}: there is no such table; allowed: ${allowed}`);
  }
  return found.text;
}

function image(report: Report, path: string): string {
  const name = path.replace(/^.*\//, "").replace(/\.svg$/, "");
  const svg = charts(report)[name];
  if (svg === undefined) return `(The recorded run has no chart ${name}.)`;
  const [, title = name] = /aria-label="([^."]+)/.exec(svg) ?? [];
  return `![${title}](${path})`;
}

function machine(report: Report): string[] {
  const kind = report.quick ? "A quick run, whose figures are rough" : "A full run";
  return [...printMachine(report.machine), `${kind}, ${report.date.slice(0, 10)}.`];
}

function inline(report: Report, marker: string): string {
  const [path = "", form] = marker.split(" ratio");
  const [suite = "", trial = "", contestant = "", key = ""] = path.split("/");
  const found = figure(report, suite, trial, contestant, key);
  const unit = report.suites
    .find(({ name }) => name === suite)
    ?.measures.find((measure) => measure.key === key)?.unit;
  if (found === undefined || unit === undefined)
    throw new Error(`fig:${marker}: the recorded run has no such figure`);
  return form === undefined ? quantity(found.median, unit) : times(found.ratio);
}
