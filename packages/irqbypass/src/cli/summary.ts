/**
 * What a run prints at its end.
 */
import {
  type Compare,
  type Interrupt,
  interruptName,
  type OneSided,
  type RunResult,
  totals,
} from "./result.js";
import { COLUMN, type Row, rows } from "./rows.js";
import { type Line, line, span, wrap } from "./style.js";
import { type Layout, table } from "./table.js";
import { duration, full, plural, seconds } from "./units.js";

/** More rows than this are not read; alike ones share one. */
const MOST_ROWS = 48;
/** What the latencies are; the column titles have no room for it. */
const LATENCY = "P50, P99: idle guest, signal to handler; KVM: until the device sees it";
/** Of a list of names, this many. */
const MOST_NAMES = 12;

const { vm, interrupt, gsi, vector, eventfd, path, signals, delivered, coalesced, lost, p50, p99, reason } =
  COLUMN;
const { device, shortVector, shortEventfd, shortSignals, shortDelivered, shortCoalesced } = COLUMN;
const heading = (row: Row): string => row.vm;
const shortCounts = [shortSignals, shortDelivered, shortCoalesced, lost, p50, p99];
const LAYOUTS: readonly [...Layout<Row>[], Layout<Row>] = [
  {
    columns: [
      vm,
      interrupt,
      gsi,
      vector,
      eventfd,
      path,
      signals,
      delivered,
      coalesced,
      lost,
      p50,
      p99,
      reason,
    ],
  },
  { columns: [device, gsi, shortVector, shortEventfd, path, ...shortCounts], heading },
  { columns: [device, gsi, shortVector, shortEventfd, path, ...shortCounts], heading, gap: 1 },
  { columns: [device, path, ...shortCounts], heading },
  { columns: [device, path, shortSignals, lost], heading },
];
/** Rows that stand for several interrupts have no GSI, vector or eventfd of their own. */
const GROUPED: readonly [...Layout<Row>[], Layout<Row>] = [
  { columns: [vm, interrupt, path, signals, delivered, coalesced, lost, p50, p99, reason] },
  { columns: [device, path, ...shortCounts], heading },
  { columns: [device, path, shortSignals, lost], heading },
];

/** The summary in lines of at most `columns` characters. */
export function summary(result: RunResult, columns: number): Line[] {
  return [
    ...interruptTable(result.interrupts, columns),
    [],
    ...oneSided(result.oneSided),
    ...compare(result.compare),
    ...lostList(result.interrupts),
    ...verdict(result),
  ].flatMap((one) => wrap(one, columns));
}

function interruptTable(interrupts: readonly Interrupt[], width: number): Line[] {
  const shown = rows(interrupts, [], MOST_ROWS);
  const each = shown.length === interrupts.length;
  const { lines, layout } = table(each ? LAYOUTS : GROUPED, shown, width);
  const { columns } = layout;
  const count = `${full(interrupts.length)} interrupts, those alike in one row; --json lists each.`;
  return [
    ...lines,
    ...(columns.includes(p50) ? [line(span(`  ${LATENCY}`, "dim"))] : []),
    ...(each ? [] : [line(span(`  ${count}`, "dim"))]),
    ...(columns.includes(reason) ? [] : reasons(interrupts)),
  ];
}

function reasons(interrupts: readonly Interrupt[]): Line[] {
  const byReason = grouped(interrupts, (one) => one.reason);
  if (byReason.size === 0) return [];
  const width = Math.max(...[...byReason.keys()].map((text) => text.length));
  const lines = [...byReason].map(([text, alike]) =>
    line(`  ${text.padEnd(width)}  `, span(names(alike), "dim")),
  );
  return [[], line(span("Not bypassed, and why", "bold")), ...lines];
}

function oneSided(list: readonly OneSided[]): Line[] {
  if (list.length === 0) return [];
  const byEnd = grouped(list, (one) => `${one.end} only${one.reason === null ? "" : ` (${one.reason})`}`);
  const width = Math.max(...[...byEnd.keys()].map((text) => text.length));
  const lines = [...byEnd].map(([end, alike]) =>
    line(`  ${end.padEnd(width)}  `, span(listed(alike.map((one) => one.name)), "dim")),
  );
  return [line(span("Eventfds with one end", "bold")), ...lines, []];
}

const COMPARED: readonly { way: keyof Compare; title: string; includes: string }[] = [
  {
    way: "posted",
    title: "posted",
    includes: "signal, post, the waiting vCPU takes it, handler, the device sees it",
  },
  {
    way: "relayed",
    title: "relayed",
    includes: "the same, with eventfd and relay thread in place of the device's post",
  },
  {
    way: "postMessage",
    title: "postMessage",
    includes: "message to the guest's event loop, handler, the device sees it",
  },
];

function compare(costs: Compare): Line[] {
  if (COMPARED.every(({ way }) => costs[way] === null)) return [];
  const lines = COMPARED.map(({ way, title, includes }) => {
    const cost = costs[way];
    const ratio =
      cost === null || costs.posted === null || way === "posted" ? "" : times(cost / costs.posted);
    return line(
      `  ${title.padEnd(11)}  ${duration(cost).padStart(7)}  ${ratio.padStart(6)}  `,
      span(includes, "dim"),
    );
  });
  return [
    line(span("One interrupt in lock-step, each way in this run: the best of many turns", "bold")),
    ...lines,
    [],
  ];
}

function times(ratio: number): string {
  return `${ratio < 9.95 ? ratio.toFixed(1) : full(Math.round(ratio))} x`;
}

function lostList(interrupts: readonly Interrupt[]): Line[] {
  const losers = interrupts.filter((one) => one.lost > 0);
  if (losers.length === 0) return [];
  const lines = losers.slice(0, MOST_NAMES).map((one) => {
    return line(
      "  ",
      span(interruptName(one), "bad"),
      ` (GSI ${one.gsi}, ${one.path}): ${full(one.lost)} lost`,
    );
  });
  if (losers.length > MOST_NAMES) lines.push(line(`  and ${full(losers.length - MOST_NAMES)} more`));
  return [line(span("Lost: the guest did not see them within two seconds", "bold")), ...lines, []];
}

function verdict(result: RunResult): Line[] {
  const sum = totals(result.interrupts);
  const how = sum.lost > 0 ? span(`${full(sum.lost)} lost`, "bad") : span("Nothing lost", "green");
  const rerouted = result.reroutes === 0 ? "" : `, re-routed ${plural(result.reroutes, "time")}`;
  return [
    line(how, span(` of ${plural(sum.signals, "signal")} in ${seconds(result.seconds)}`)),
    line(span(`${full(sum.delivered)} delivered, ${full(sum.coalesced)} coalesced${rerouted}`, "dim")),
  ];
}

function grouped<Item>(items: readonly Item[], key: (item: Item) => string | null): Map<string, Item[]> {
  const groups = new Map<string, Item[]>();
  for (const item of items) {
    const own = key(item);
    if (own !== null) groups.set(own, [...(groups.get(own) ?? []), item]);
  }
  return groups;
}

function names(interrupts: readonly Interrupt[]): string {
  return listed(interrupts.map(interruptName));
}

function listed(all: readonly string[]): string {
  const shown = all.slice(0, MOST_NAMES).join(", ");
  return all.length > MOST_NAMES ? `${shown} and ${full(all.length - MOST_NAMES)} more` : shown;
}
