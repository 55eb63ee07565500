import { type Choice, isKill, isTimeout, threadOf } from "../search/schedule.js";
import { BLOCKED, OP_NAMES, Op, type Performed, SLEEPS } from "../world/op.js";

/** One line of a chart: what a thread did in one step. */
export interface ChartLine {
  /** Which step of the schedule, from 0. */
  readonly step: number;
  /** Whose step, by the thread's index. */
  readonly thread: number;
  /** What it did. */
  readonly text: string;
}

/** How much of a schedule is drawn: the steps, or every access to a guarded word as well. */
export type Detail = "steps" | "accesses";

/** The lines of a schedule. `performed` holds the accesses of each step. */
export function chartLines(
  choices: readonly Choice[],
  performed: readonly (readonly Performed[])[],
  nameOf: (word: number) => string,
  detail: Detail,
): ChartLine[] {
  const lines: ChartLine[] = [];
  choices.forEach((choice, index) => {
    const step = index + 1;
    const thread = threadOf(choice);
    const add = (text: string) => lines.push({ step, thread, text });
    let folded = 0;
    for (const access of performed[index] ?? []) {
      const guarded = access.op === Op.get || access.op === Op.set;
      if (guarded && detail === "steps") folded += 1;
      else {
        if (folded > 0) add(`(${folded} guarded)`);
        folded = 0;
        add(describe(access, nameOf));
      }
    }
    if (folded > 0) add(`(${folded} guarded)`);
    if (isKill(choice)) add("dies here");
    else if (isTimeout(choice)) add("its time limit passes");
    else if (lines.at(-1)?.step !== step) add("ends");
  });
  return lines;
}

/** A chart as text: one column for each thread. `width` is how many characters a line may have. */
export function drawChart(lines: readonly ChartLine[], names: readonly string[], width: number): string {
  const margin = String(lines.at(-1)?.step ?? 0).length + 2;
  const widths = names.map((name, thread) =>
    Math.max(name.length, ...lines.filter((line) => line.thread === thread).map(({ text }) => text.length)),
  );
  const room = Math.max(16 * names.length, width - margin - 2 * (names.length - 1));
  // The widest columns give way first.
  while (widths.reduce((sum, each) => sum + each, 0) > room) {
    const widest = widths.indexOf(Math.max(...widths));
    widths[widest]! -= 1;
  }
  const row = (step: string, cells: readonly string[]) =>
    `${step.padStart(margin - 2)}  ${cells.map((cell, i) => fit(cell, widths[i]!)).join("  ")}`.trimEnd();
  const drawn = [
    row("", names),
    row(
      "",
      widths.map((each) => "-".repeat(each)),
    ),
  ];
  let before = 0;
  for (const { step, thread, text } of lines) {
    drawn.push(
      row(
        step === before ? "" : String(step),
        names.map((_, i) => (i === thread ? text : "")),
      ),
    );
    before = step;
  }
  return drawn.join("\n");
}

function fit(text: string, width: number): string {
  return text.length <= width ? text.padEnd(width) : `${text.slice(0, width - 1)}…`;
}

function describe({ op, word, operands, result }: Performed, nameOf: (word: number) => string): string {
  const name = nameOf(word);
  const [first = 0, second = 0] = operands;
  switch (op) {
    case Op.load:
    case Op.load64:
    case Op.get:
      return `${OP_NAMES[op]} ${name}: ${show(result)}`;
    case Op.store:
    case Op.store64:
    case Op.set:
      return `${OP_NAMES[op]} ${name} = ${show(first)}`;
    case Op.compareExchange:
    case Op.compareExchange64:
      return result === first
        ? `compareExchange ${name}: ${show(first)} -> ${show(second)}`
        : `compareExchange ${name}: is ${show(result)}, not ${show(first)}`;
    case Op.wait:
      if (result === BLOCKED) return `waits until ${name} is free`;
      return result === SLEEPS
        ? `wait ${name} at ${show(first)}: sleeps`
        : `wait ${name}: not ${show(first)}`;
    case Op.notify:
      return `notify ${name}: wakes ${result}`;
    case Op.probe:
      return `asks whether thread ${word} lives: ${result === 1 ? "yes" : "no"}`;
    case Op.relax:
      return "relax";
    default:
      return `${OP_NAMES[op]} ${name} ${show(first)}: was ${show(result)}`;
  }
}

function show(value: number | bigint): string {
  return value >= 0 && value < 10
    ? String(value)
    : `0x${(typeof value === "bigint" ? BigInt.asUintN(64, value) : value >>> 0).toString(16)}`;
}
