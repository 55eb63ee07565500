/**
 * Vectors with the same verdict on the same evidence, as one: two thousand of them must stay readable.
 */
import type { Evidence } from "../judge/report.js";

/** A vector with a verdict of some kind. */
export interface Judged<Word extends string> {
  readonly irq: number | null;
  readonly label: string;
  readonly verdict: Word;
  readonly evidence: readonly Evidence[];
}

export interface VectorGroup<Word extends string> {
  readonly verdict: Word;
  readonly count: number;
  /** "msix[0-4,7]" */
  readonly labels: string;
  /** "130-134, 140"; empty if none has a number. */
  readonly irqs: string;
  readonly evidence: readonly Evidence[];
}

/** Groups the vectors of one device, in the order in which they first appear. */
export function groupVectors<Word extends string>(vectors: readonly Judged<Word>[]): VectorGroup<Word>[] {
  const groups = new Map<string, Judged<Word>[]>();
  for (const vector of vectors) {
    const shape = vector.evidence.map(({ source, says }) => [
      general(source, vector.irq),
      general(says, vector.irq),
    ]);
    const key = JSON.stringify([vector.verdict, shape]);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [vector]);
    else group.push(vector);
  }
  return [...groups.values()].map((members): VectorGroup<Word> => {
    const irqs = ranges(members.map(({ irq }) => irq).filter((irq) => irq !== null));
    return {
      verdict: members[0]!.verdict,
      count: members.length,
      labels: labelsOf(members),
      irqs,
      evidence: members[0]!.evidence.map((_, index) => merge(members, index, irqs)),
    };
  });
}

/** Evidence of one vector without what is its own: its number, and how often it fired. */
function general(text: string, irq: number | null): string {
  const named = irq === null ? text : text.replace(new RegExp(`(/irqs?/|line )${irq}\\b`), "$1#");
  return named
    .replace(/\bgrew by \d+/, "grew")
    .replace(/\bhandled \d+ of it in \d+ /, "handled ")
    .replace(/\bposted in \d+ /, "posted ")
    .replace(/\bran \d+ times/, "ran")
    .replace(/vCPU -?\d+, vector 0x[0-9a-f]+, GSI \d+/, "vCPU")
    .replace(/^entry \d+ is/, "entry is")
    .replace(/^eventfd \d+:/, "eventfd");
}

/** One piece of evidence for all members: numbers become ranges. */
function merge(members: readonly Judged<string>[], index: number, irqs: string): Evidence {
  const all = members.map(({ evidence }) => evidence[index]!);
  const first = all[0]!;
  if (members.length === 1) return first;
  const irq = members[0]!.irq;
  const source =
    irq === null
      ? first.source
      : first.source.replace(new RegExp(`(/irqs?/|line )${irq}\\b`), `$1${short(irqs)}`);
  const numbers = (pattern: RegExp) => all.map(({ says }) => Number(pattern.exec(says)?.[1] ?? 0));
  const range = (values: readonly number[]) => {
    const low = values.reduce((a, b) => Math.min(a, b));
    const high = values.reduce((a, b) => Math.max(a, b));
    return low === high ? `${low}` : `${low} to ${high}`;
  };
  const span = (values: readonly number[]) => `${range(values)} each`;
  const says = first.says
    .replace(/\bgrew by \d+/, () => `grew by ${span(numbers(/grew by (\d+)/))}`)
    .replace(
      /\bhandled \d+ of it in \d+ /,
      () => `handled ${span(numbers(/handled (\d+)/))} in ${range(numbers(/of it in (\d+)/))} `,
    )
    .replace(/\bposted in \d+ /, () => `posted in ${range(numbers(/posted in (\d+)/))} `)
    .replace(/\bran \d+ times/, () => `ran ${span(numbers(/ran (\d+)/))}`)
    .replace(/vCPU -?\d+, vector 0x[0-9a-f]+, GSI \d+/, () => {
      const vcpus = ranges(numbers(/vCPU (-?\d+)/));
      return `vCPU ${vcpus}, GSI ${short(ranges(numbers(/GSI (\d+)/)))}`;
    })
    .replace(/^entry \d+ is/, () => `entries ${short(ranges(numbers(/^entry (\d+)/)))} are`)
    .replace(/^eventfd \d+:/, () => `eventfds ${short(ranges(numbers(/^eventfd (\d+)/)))}:`);
  return { source, says };
}

/** A list of ranges with its middle left out, if there are many. */
function short(list: string): string {
  const parts = list.split(",");
  return parts.length <= 4 ? list : `${parts[0]},...,${parts.at(-1)}`;
}

function labelsOf(members: readonly Judged<string>[]): string {
  const numbered = new Map<string, number[]>();
  const others: string[] = [];
  for (const { label } of members) {
    const match = /^(\w+)(\[| )(\d+)\]?$/.exec(label);
    if (match === null) {
      others.push(label);
      continue;
    }
    const key = `${match[1]}${match[2]}`;
    numbered.set(key, [...(numbered.get(key) ?? []), Number(match[3])]);
  }
  const parts = [...numbered].map(
    ([key, numbers]) => `${key}${short(ranges(numbers))}${key.endsWith("[") ? "]" : ""}`,
  );
  return [...parts, ...new Set(others)].join(", ");
}

/** "0-4,7" for the numbers 0, 1, 2, 3, 4 and 7 in any order. */
export function ranges(numbers: readonly number[]): string {
  const sorted = [...new Set(numbers)].sort((a, b) => a - b);
  const parts: string[] = [];
  let start: number | undefined;
  for (const [index, number] of sorted.entries()) {
    start ??= number;
    if (sorted[index + 1] === number + 1) continue;
    parts.push(start === number ? `${number}` : `${start}-${number}`);
    start = undefined;
  }
  return parts.join(",");
}
