/**
 * What became of a storm, as lines.
 */
import { type Line, line, span, wrap } from "../style.js";
import { type Column, type Layout, table } from "../table.js";
import { duration, full, plural } from "../units.js";
import {
  type Lock,
  type Phase,
  type Rounds,
  ratio,
  type StormResult,
  type Times,
  typical,
} from "./result.js";
import type { Storm } from "./storm-file.js";

interface Row {
  readonly title: string;
  readonly standing: number;
  readonly create: number | null;
  readonly destroy: number | null;
  readonly longest: number | null;
  readonly lock: Lock;
}

const left = (title: string, text: (row: Row) => string): Column<Row> => ({ title, align: "left", text });
const right = (title: string, text: (row: Row) => string): Column<Row> => ({ title, align: "right", text });
const what = left("", (row) => row.title);
const beside = right("BESIDE", (row) => full(row.standing));
const create = right("CREATE", (row) => duration(row.create));
const destroy = right("DESTROY", (row) => duration(row.destroy));
const longest = right("SLOWEST", (row) => duration(row.longest));
const waited = right("LOCK WAIT", ({ lock }) => duration(lock.mean));
const p99 = right("P99", ({ lock }) => duration(lock.p99));
const most = right("LONGEST", ({ lock }) => duration(lock.longest));
const sleeps = right("SLEEPS/1,000", ({ lock }) =>
  ((lock.parks / Math.max(1, lock.taken)) * 1000).toFixed(2),
);

const LAYOUTS: readonly [...Layout<Row>[], Layout<Row>] = [
  { columns: [what, beside, create, destroy, longest, waited, p99, most, sleeps] },
  { columns: [what, beside, create, destroy, longest, waited, most] },
  { columns: [what, create, destroy, waited] },
  { columns: [what, create, destroy] },
];

/** What is about to run, in one line. */
export function stormIntroduction(source: string, { standing, irqfds, vms, rounds, threads }: Storm): Line {
  const [beside, more] = [
    `${plural(standing, "standing VM")}`,
    `${plural(rounds, "round")} of ${full(vms)} more`,
  ];
  return line(
    span("irqbypass run", "bold"),
    `  ${source}: ${beside}, ${more}, ${plural(irqfds, "irqfd")} each, ${plural(threads, "thread")}`,
  );
}

/** The summary in lines of at most `columns` characters. */
export function stormSummary(result: StormResult, columns: number): Line[] {
  const { storm, empty, stood, full: crowded, cleared } = result;
  const standing = storm.standing * storm.irqfds;
  const rows = [
    ...roundRows(empty, 0),
    phaseRow(`${plural(storm.standing, "VM")} to stand`, 0, stood),
    ...roundRows(crowded, standing),
    phaseRow("taking them away", standing, cleared),
  ];
  const { lines, layout } = table(LAYOUTS, rows, columns);
  const notes = [
    layout.columns.includes(beside)
      ? "CREATE, DESTROY: one VM with its eventfds and irqfds, mean; SLOWEST: of both; BESIDE: irqfds that stood there"
      : "CREATE, DESTROY: one VM with its eventfds and irqfds, mean",
    ...(layout.columns.includes(waited)
      ? ["LOCK WAIT: for the lock of the host, mean over each time that a thread took it"]
      : []),
  ];
  return [...lines, ...notes.map((note) => line(span(`  ${note}`, "dim"))), [], ...verdict(result)].flatMap(
    (one) => wrap(one, columns),
  );
}

function phaseRow(title: string, standing: number, { create, destroy, lock }: Phase): Row {
  const longest = Math.max(create.longest, destroy.longest);
  return { title, standing, create: ns(create), destroy: ns(destroy), longest, lock };
}

function ns({ vms, mean }: Times): number | null {
  return vms === 0 ? null : mean;
}

/** The first round, the last one, and the typical one of all. */
function roundRows(rounds: Rounds, standing: number): Row[] {
  const { each, lock } = rounds;
  const [first] = each;
  const last = each.at(-1);
  if (first === undefined || last === undefined) return [];
  const row = (number: number, phase: Phase) => phaseRow(`round ${full(number)}`, standing, phase);
  if (each.length === 1) return [row(1, first)];
  const middle: Row = {
    ...{ title: `median of ${full(each.length)}`, standing, lock },
    create: typical(rounds, "create") ?? null,
    destroy: typical(rounds, "destroy") ?? null,
    longest: Math.max(...each.map((one) => Math.max(one.create.longest, one.destroy.longest))),
  };
  return [row(1, first), row(each.length, last), middle];
}

function verdict(result: StormResult): Line[] {
  const { storm } = result;
  const [created, destroyed] = [ratio(result, "create"), ratio(result, "destroy")];
  if (created === undefined || destroyed === undefined || storm.standing === 0)
    return [line(span("Everything was given back", "green"), " (no rounds beside standing VMs to compare)")];
  return [
    line(
      `Beside ${full(storm.standing * storm.irqfds)} irqfds a VM takes ${created.toFixed(2)} times as long to create ` +
        `and ${destroyed.toFixed(2)} times as long to destroy as with none`,
    ),
    line(span("Everything was given back", "green")),
  ];
}
