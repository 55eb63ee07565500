/**
 * What a long run says, as text for a terminal.
 */
import type { Use, WatchedInterrupt } from "../judge/track.js";
import type { WatchReport } from "../judge/watch.js";
import { groupVectors } from "./groups.js";
import { compact, Page, plural, type TextOptions } from "./page.js";
import type { Paint } from "./wrap.js";

const PAINT: Record<Use, Paint> = { used: "good", idle: "plain", suspicious: "bad", unknown: "doubt" };

/** Prints the whole verdict, with a newline at its end. */
export function watchText(report: WatchReport, options: TextOptions): string {
  const { measured, verdict } = report;
  const page = new Page(options);
  page.put(
    0,
    `irqbypass-doctor: ${measured.from}, Linux ${measured.kernel}, ${plural(measured.looks, "look")} in a row`,
    "bold",
  );
  const time = (at: string) => at.replace("T", " ").replace(/(\.\d+)?Z$/, "");
  page.put(
    0,
    `From ${time(measured.began)} to ${time(measured.ended)} UTC; the windows are ${measured.seconds.toFixed(1)} s together.`,
    "dim",
  );
  page.blank();
  page.put(0, verdict.says, verdict.exit === 0 ? "good" : verdict.exit === 1 ? "bad" : "doubt");
  for (const [device, interrupts] of byDevice(report.interrupts)) {
    const { pid, vm } = interrupts.at(-1)!;
    const whose = pid === null ? "no VM was seen to hold it" : `VM ${vm ?? "without a name"}, process ${pid}`;
    page.heading(`${device}: ${whose}`);
    for (const group of groupVectors(interrupts)) {
      const irqs = group.irqs === "" ? "" : `, irq ${compact(group.irqs.split(","))}`;
      page.row(
        2,
        [
          [group.verdict, 12, PAINT[group.verdict]],
          [String(group.count), 6, "plain"],
        ],
        `${group.labels}${irqs}`,
      );
      page.evidence(6, group.evidence);
    }
  }
  if (report.notes.length > 0) page.heading("Notes");
  for (const note of report.notes) page.put(2, note, "plain", 4);
  return page.text();
}

function byDevice(interrupts: readonly WatchedInterrupt[]): Map<string, WatchedInterrupt[]> {
  const devices = new Map<string, WatchedInterrupt[]>();
  for (const one of interrupts) {
    const list = devices.get(one.device);
    if (list === undefined) devices.set(one.device, [one]);
    else list.push(one);
  }
  return devices;
}
