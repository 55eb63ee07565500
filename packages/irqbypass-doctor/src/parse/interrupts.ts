/**
 * /proc/interrupts: a column for each online CPU, a line for each interrupt.
 *
 * Two traps. Some vDPA drivers end an action's name with a newline, so that an empty line or the rest of a line
 * follows; and names hold blanks, commas and colons, so that they cannot be split.
 */
import { FormatError } from "../source/error.js";

/** One line: a device's interrupt, or a summary such as PIN. */
export interface InterruptLine {
  /** "130", "PIN", "ERR". */
  readonly label: string;
  /** One number per column of {@link Interrupts.cpus}; a summary line such as ERR has a single one. */
  readonly counts: readonly number[];
  /** "IR-PCI-MSIX-0000:3b:00.0"; empty on summary lines. */
  readonly chip: string;
  /** Everything behind chip, hwirq and trigger: the names of the actions, or the summary's description. */
  readonly actions: string;
}

export interface Interrupts {
  /** Numbers of the online CPUs, in the order of the columns. */
  readonly cpus: readonly number[];
  readonly lines: ReadonlyMap<string, InterruptLine>;
}

/** The largest count: they are 32 bits wide. */
const MOST = 2 ** 32 - 1;

/**
 * A line whose counts are not one for each CPU is refused, because what is left out of it or behind it would be taken for
 * something else: so is the whole text, in which nobody knows then what else is wrong.
 * @throws FormatError if there is no header of CPUs, or a line is neither an interrupt nor the rest of a name.
 */
export function parseInterrupts(text: string): Interrupts {
  const rows = text.split("\n");
  const header = (rows[0] ?? "").trim().split(/\s+/);
  if (!header.every((word) => /^CPU\d{1,6}$/.test(word))) {
    throw new FormatError("the first line is not a header of CPUs");
  }
  const cpus = header.map((word) => Number(word.slice(3)));
  if (cpus.some((cpu, at) => at > 0 && cpu <= cpus[at - 1]!))
    throw new FormatError("the CPUs of the header do not ascend");
  const lines = new Map<string, InterruptLine>();
  let last: InterruptLine | undefined;
  for (const [index, row] of rows.slice(1).entries()) {
    if (row.trim() === "") continue;
    const line = parseLine(row, cpus.length);
    if (line !== undefined && lines.has(line.label)) throw new FormatError(`has a second line ${line.label}`);
    if (line !== undefined) last = line;
    // Names stand in a list: what follows one that ended in a newline begins with the comma and the blank behind it.
    else if (last !== undefined && /^\s?, /.test(row))
      last = { ...last, actions: `${last.actions}\n${row.trim()}` };
    else throw new FormatError(`line ${index + 2} is no interrupt with a count for each CPU`);
    lines.set(last.label, last);
  }
  return { cpus, lines };
}

/** undefined for what is no line of its own. */
function parseLine(row: string, columns: number): InterruptLine | undefined {
  const start = /^\s{0,12}(\d{1,10}|[A-Za-z][\w/-]{0,11}):\s+(?=\d)/.exec(row);
  if (start === null) return undefined;
  const counts: number[] = [];
  let rest = row.slice(start[0].length);
  while (counts.length < columns) {
    const number = /^(\d{1,10})(?:\s+|$)/.exec(rest);
    if (number === null || Number(number[1]) > MOST) break;
    counts.push(Number(number[1]));
    rest = rest.slice(number[0].length);
  }
  const label = start[1]!;
  const own = /^\d+$/.test(label);
  // One of all CPUs, such as ERR, stands alone.
  if (counts.length !== columns && (own || counts.length !== 1 || rest !== "")) return undefined;
  if (!own) return { label, counts, chip: "", actions: rest.trim() };
  // "None" stands for a chip that is not there, so that one is always named; a number would be one count too many.
  if (/^\d*(\s|$)/.test(rest)) return undefined;
  // Chip, then hwirq with "-edge" or " Edge" behind it, then the actions.
  const gap = rest.search(/\s/);
  const chip = gap < 0 ? rest : rest.slice(0, gap);
  const behind = rest.slice(chip.length).trimStart();
  const hwirq = /^\d+(?:-\S+)?(?:\s+(?:Edge|Level)\b)?/.exec(behind)?.[0] ?? "";
  return { label, counts, chip, actions: behind.slice(hwirq.length).trim() };
}

/** How often an interrupt fired between two samples. */
export interface Growth {
  readonly count: number;
  /** A counter began anew in between: `count` is what came since, and what came before that is not known. */
  readonly anew: boolean;
}

/**
 * How often a line fired between two samples. CPUs that are not online in both are left out. null if one sample lacks
 * the line.
 */
export function grewBetween(first: Interrupts, second: Interrupts, label: string): Growth | null {
  const before = first.lines.get(label);
  const after = second.lines.get(label);
  if (before === undefined || after === undefined) return null;
  const pairs: [old: number | undefined, now: number][] = [];
  for (const [column, cpu] of second.cpus.entries()) {
    const now = after.counts[column];
    if (now !== undefined) pairs.push([before.counts[first.cpus.indexOf(cpu)], now]);
  }
  const same = before.chip === after.chip && before.actions === after.actions;
  return same ? grew(pairs) : { count: sum(after.counts), anew: true };
}

/** Counters are 32 bits wide: one that wraps was high before, and has not come far since. */
const HIGH = 2 ** 31;

/**
 * The growth of counters of one interrupt, given as before and now. One that fell without having been high was freed and
 * requested anew, and with it all others of the interrupt.
 */
export function grew(pairs: readonly (readonly [old: number | undefined, now: number])[]): Growth {
  const fell = pairs.some(([old, now]) => old !== undefined && now < old && (old < HIGH || now >= HIGH));
  if (fell) return { count: sum(pairs.map(([, now]) => now)), anew: true };
  const steps = pairs.map(([old, now]) => {
    if (old === undefined) return 0;
    return now >= old ? now - old : now + 2 ** 32 - old;
  });
  return { count: sum(steps), anew: false };
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((a, b) => a + b, 0);
}
