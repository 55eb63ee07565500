/** A report as text: ratios first, absolute figures second. */
import { quantity, times } from "./format.js";
import type { Figure, Machine, Report, SuiteReport, TrialReport } from "./report.js";
import type { Measure } from "./suite.js";

const DASH = "-";

export function printReport({ machine, quick, seconds, suites }: Report): string {
  const lines = [...printMachine(machine)];
  if (quick) lines.push("A quick run: it shows that everything works; its figures are rough.");
  for (const suite of suites) lines.push("", ...printSuite(suite));
  lines.push("", `${seconds} s in all.`);
  return lines.join("\n");
}

export function printMachine(machine: Machine): string[] {
  const { processor, cores, memoryGiB, virtual, system, node, cc, load } = machine;
  const busy = load >= 0.5 ? `, load average ${load} before the run: somebody else was at work` : "";
  return [
    `${processor}, ${cores} cores, ${memoryGiB} GiB${virtual ? ", a virtual machine" : ""}${busy}`,
    `${system}, Node ${node}, ${cc ?? "no C compiler: the rows in C say so"}`,
  ];
}

/** Where and when a suite was measured that was recorded by itself; nothing for all others. */
export function printApart({ apart }: SuiteReport): string[] {
  if (apart === undefined) return [];
  return [
    ...printMachine(apart.machine),
    `Measured apart from the other suites, ${apart.date.slice(0, 10)}.`,
  ];
}

function printSuite(suite: SuiteReport): string[] {
  const lines = [suite.name.toUpperCase(), ...wrap(suite.about), ...printApart(suite), ""];
  for (const { text } of printTables(suite)) lines.push(...text, "");
  for (const [contestant, why] of reasons(suite)) lines.push(...wrap(`${contestant}: not measured, ${why}`));
  for (const note of suite.notes) lines.push(...wrap(note));
  return lines;
}

/** A suite's tables: one for each measure, by its key, or one for each trial, by its number from 1. */
export function printTables(suite: SuiteReport): { readonly name: string; readonly text: string[] }[] {
  if (isMatrix(suite))
    return suite.measures.map((measure) => ({ name: measure.key, text: printMatrix(suite, measure) }));
  return suite.trials.map((trial, i) => ({ name: String(i + 1), text: printTrial(suite, trial) }));
}

/** Several trials of the same contestants are one table for each measure: a line for each trial. */
export function isMatrix({ trials }: SuiteReport): boolean {
  const names = trials.map(({ rows }) => rows.map(({ contestant }) => contestant).join());
  return trials.length > 1 && names.every((name) => name === names[0]);
}

function printMatrix({ trials }: SuiteReport, { key, title, unit }: Measure): string[] {
  const all = trials[0]?.rows.map(({ contestant }) => contestant) ?? [];
  const names = all.filter((_, i) => trials.some(({ rows }) => rows[i]?.figures[key] !== undefined));
  const table = (text: (figure: Figure) => string) =>
    columns([
      ["N", ...names],
      ...trials.map((trial) => [
        trial.title,
        ...names.map((name) => {
          const figure = trial.rows.find(({ contestant }) => contestant === name)?.figures[key];
          return figure === undefined ? DASH : text(figure);
        }),
      ]),
    ]);
  const absolute = table((figure) => `${quantity(figure.median, unit)}${range(figure)}`);
  const how = trials.some(({ rows }) => rows.some(({ figures }) => (figures[key]?.rounds.length ?? 0) > 1))
    ? ", median and quartiles"
    : "";
  if (names.length < 2) return [`${title}${how}:`, ...absolute];
  const ratios = table(({ ratio }) => (Number.isFinite(ratio) ? times(ratio) : DASH));
  return [`${title}, in times of ${names[0]}:`, ...ratios, `${title}${how}:`, ...absolute];
}

function printTrial({ measures }: SuiteReport, { title, rows }: TrialReport): string[] {
  const used = measures.filter(({ key }) => rows.some(({ figures }) => figures[key] !== undefined));
  const [first] = used;
  const head = [title, "ratio", ...used.map((measure) => measure.title), "quartiles"];
  const body = rows.map((row) => {
    const figure = first && row.figures[first.key];
    return [
      row.contestant,
      figure ? times(figure.ratio) : DASH,
      ...used.map(({ key, unit }) => {
        const one = row.figures[key];
        return one ? quantity(one.median, unit) : DASH;
      }),
      figure ? range(figure).trim() : DASH,
    ];
  });
  return columns([head, ...body]);
}

/** Why contestants are missing, each once. */
export function reasons({ trials }: SuiteReport): Map<string, string> {
  const found = new Map<string, string>();
  for (const { rows } of trials) {
    for (const { contestant, unavailable } of rows)
      if (unavailable !== undefined) found.set(contestant, unavailable);
  }
  return found;
}

/** How far the quartiles of the rounds lie from their median, in per cent of it. */
function range({ median, low, high, rounds }: Figure): string {
  if (rounds.length < 2 || median === 0) return "";
  const percent = (value: number) => Math.round(Math.abs(value / median - 1) * 100);
  return ` -${percent(low)}/+${percent(high)}%`;
}

/** The first column to the left, the others to the right. */
function columns(table: readonly (readonly string[])[]): string[] {
  const widths = (table[0] ?? []).map((_, i) => Math.max(...table.map((row) => row[i]?.length ?? 0)));
  return table.map((row) =>
    row
      .map((cell, i) => (i === 0 ? cell.padEnd(widths[i] ?? 0) : cell.padStart((widths[i] ?? 0) + 2)))
      .join("")
      .replace(/^/, "  "),
  );
}

function wrap(text: string, width = 110): string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(" ")) {
    if (line !== "" && line.length + 1 + word.length > width) {
      lines.push(line);
      line = word;
    } else line = line === "" ? word : `${line} ${word}`;
  }
  return [...lines, line];
}
