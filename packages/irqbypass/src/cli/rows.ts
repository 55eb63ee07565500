/**
 * Interrupts as rows of a table: one each, or one for all alike where there are too many to read.
 */
import { percentile } from "./histogram.js";
import { type Interrupt, mergedLatency, type Path, totals } from "./result.js";
import { PATH_STYLE } from "./style.js";
import type { Column } from "./table.js";
import { duration, full, short } from "./units.js";

/** One interrupt, or several of one device with the same path and reason. */
export interface Row {
  readonly first: Interrupt;
  readonly count: number;
  readonly vm: string;
  readonly path: Path;
  readonly reason: string | null;
  readonly signals: number;
  readonly delivered: number;
  readonly coalesced: number;
  readonly lost: number;
  readonly p50: number | null;
  readonly p99: number | null;
  /** Signals per second lately; 0 in a summary. */
  readonly rate: number;
}

/** One row each where that makes at most `limit` rows, else one for all interrupts of a device that are alike. */
export function rows(interrupts: readonly Interrupt[], rates: readonly number[], limit: number): Row[] {
  const rate = new Map(interrupts.map((one, i) => [one, rates[i] ?? 0]));
  const row = (alike: readonly Interrupt[]): Row[] => {
    const [first] = alike;
    if (first === undefined) return [];
    const latency = alike.length === 1 ? first.latency : mergedLatency(alike);
    const { vm, path, reason } = first;
    return [
      {
        ...{ first, vm, path, reason, count: alike.length, ...totals(alike) },
        p50: percentile(latency, 0.5),
        p99: percentile(latency, 0.99),
        rate: alike.reduce((sum, one) => sum + (rate.get(one) ?? 0), 0),
      },
    ];
  };
  if (interrupts.length <= limit) return interrupts.flatMap((one) => row([one]));
  const groups = new Map<string, Interrupt[]>();
  for (const one of interrupts) {
    const key = JSON.stringify([one.vm, one.device, one.path, one.reason]);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [one]);
    else group.push(one);
  }
  return [...groups.values()].flatMap(row);
}

const left = (title: string, text: (row: Row) => string): Column<Row> => ({ title, align: "left", text });
const right = (title: string, text: (row: Row) => string): Column<Row> => ({ title, align: "right", text });

function interruptCell(row: Row): string {
  const { device, index } = row.first;
  return row.count === 1 ? `${device}.${index}` : `${device} x${full(row.count)}`;
}

/** Every column that a table of interrupts can have. */
export const COLUMN = {
  vm: left("VM", (row) => row.vm),
  interrupt: left("INTERRUPT", interruptCell),
  device: left("DEVICE", interruptCell),
  gsi: right("GSI", (row) => String(row.first.gsi)),
  vector: right("VECTOR", (row) => `0x${row.first.vector.toString(16)}`),
  shortVector: right("VEC", (row) => `0x${row.first.vector.toString(16)}`),
  eventfd: right("EVENTFD", (row) => String(row.first.eventfd)),
  shortEventfd: right("EVFD", (row) => String(row.first.eventfd)),
  path: { ...left("PATH", (row) => row.path), style: (row: Row) => PATH_STYLE[row.path] },
  reason: { ...left("REASON", (row) => row.reason ?? ""), style: () => "dim" as const },
  rate: right("SIGNALS/S", (row) => short(row.rate)),
  signals: right("SIGNALS", (row) => full(row.signals)),
  delivered: right("DELIVERED", (row) => full(row.delivered)),
  coalesced: right("COALESCED", (row) => full(row.coalesced)),
  shortSignals: right("SIGNALS", (row) => short(row.signals)),
  shortDelivered: right("DELIV", (row) => short(row.delivered)),
  shortCoalesced: right("COAL", (row) => short(row.coalesced)),
  lost: {
    ...right("LOST", (row) => full(row.lost)),
    style: (row: Row) => (row.lost > 0 ? ("bad" as const) : ("plain" as const)),
  },
  p50: right("P50", (row) => duration(row.p50)),
  p99: right("P99", (row) => duration(row.p99)),
} satisfies Record<string, Column<Row>>;
