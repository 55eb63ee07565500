/**
 * The report as text for a terminal.
 */

import type { ChainLink, DeviceReport, LinkState, Report, Verdict, VmReport } from "../judge/report.js";
import { groupVectors } from "./groups.js";
import { compact, Page, plural, type TextOptions } from "./page.js";
import type { Paint } from "./wrap.js";

const LINK_PAINT: Record<LinkState, Paint> = { holds: "good", broken: "bad", unknown: "doubt" };

const VERDICT_PAINT: Record<Verdict, Paint> = {
  "posted now": "good",
  "delivered by the host just now": "bad",
  paired: "good",
  "probably posted": "good",
  "able, not seen": "good",
  "cannot be": "bad",
  unknown: "doubt",
};

/** Prints the whole report, with a newline at its end. */
export function textReport(report: Report, options: TextOptions): string {
  const page = new Page(options);
  header(page, report);
  chain(page, report);
  for (const vm of report.vms) virtualMachine(page, vm);
  if (report.unclaimed.length > 0) {
    page.heading("Devices that no VM was seen to hold");
    for (const one of report.unclaimed) device(page, one);
  }
  counters(page, report);
  notes(page, report);
  missing(page, report);
  strange(page, report);
  advice(page, report);
  if (report.measured.formats.length > 0) {
    page.blank();
    page.put(0, `Formats matched: ${report.measured.formats.join("; ")}.`, "dim");
  }
  return page.text();
}

function header(page: Page, { measured, verdict }: Report): void {
  const model = measured.cpu
    .replace(/\((R|TM)\)/gi, "")
    .replace(/ (CPU|Processor|\d+-Core Processor)( @.*)?$/, "");
  const cpu = model === "" ? measured.arch : model;
  page.put(0, `irqbypass-doctor: ${measured.from}, Linux ${measured.kernel}, ${cpu}`, "bold");
  const traced = measured.traced === null ? "" : `, tracepoints followed for ${measured.traced.toFixed(1)} s`;
  const at = measured.at.replace("T", " ").replace(/(\.\d+)?Z$/, " UTC");
  page.put(0, `Two samples, ${measured.seconds.toFixed(1)} s apart, the second at ${at}${traced}.`, "dim");
  page.blank();
  page.put(0, verdict.says, verdict.exit === 0 ? "good" : verdict.exit === 1 ? "bad" : "doubt");
}

function chain(page: Page, report: Report): void {
  page.heading("The chain, from the CPU to KVM");
  for (const link of report.chain) linkRow(page, link);
}

function linkRow(page: Page, link: ChainLink): void {
  page.row(
    2,
    [
      [link.state, 9, LINK_PAINT[link.state]],
      [link.name, 22, "plain"],
    ],
    link.says,
  );
  page.sources(13, link.says, link.evidence);
}

function virtualMachine(page: Page, vm: VmReport): void {
  const name = vm.name === null ? "VM without a name" : `VM ${vm.name}`;
  const parts = [
    plural(vm.vcpus, "vCPU"),
    plural(vm.eventfds.length, "eventfd"),
    plural(vm.devices.length, "device"),
  ];
  page.heading(`${name} (${vm.program}, process ${vm.pid}): ${parts.join(", ")}`);
  for (const one of vm.devices) device(page, one);
  if (vm.devices.length > 0) linkRow(page, vm.vmm);
  if (vm.devices.length === 0)
    page.put(2, "No assigned device: its interrupts all come from software, there is nothing to bypass.");
  if (vm.eventfds.length > 0) {
    const ids = vm.eventfds.map(({ id }) => id).filter((id) => id !== null);
    const shown = ids.length === 0 ? "this kernel shows no ids" : compact(ids);
    page.put(2, `eventfds: ${shown}`, "dim", 4);
  }
  for (const note of vm.notes) page.put(2, `note: ${note}`, "plain", 4);
}

function device(page: Page, one: DeviceReport): void {
  const group = one.iommuGroup === null ? "" : `, IOMMU group ${one.iommuGroup}`;
  page.put(2, `${one.address}: ${one.driver}${group}, ${plural(one.vectors.length, "interrupt")}`, "bold");
  page.evidence(4, [one.tie]);
  if (one.vectors.length === 0) page.row(4, [[one.verdict, 0, VERDICT_PAINT[one.verdict]]], "");
  for (const group of groupVectors(one.vectors)) {
    const irqs = group.irqs === "" ? "" : `, irq ${compact(group.irqs.split(","))}`;
    page.row(
      4,
      [
        [group.verdict, 32, VERDICT_PAINT[group.verdict]],
        [String(group.count), 6, "plain"],
      ],
      `${group.labels}${irqs}`,
    );
    page.evidence(8, group.evidence);
  }
  for (const note of one.notes) page.put(4, `note: ${note}`, "plain", 6);
}

function counters(page: Page, { counters: all }: Report): void {
  if (all.length === 0) return;
  page.heading("Counters of the host over the window");
  for (const { label, grew, says } of all) {
    page.row(
      2,
      [
        [label, 5, "plain"],
        [grew === null ? "?" : `+${grew}`, 8, "plain"],
      ],
      says,
    );
  }
}

function notes(page: Page, { notes: all }: Report): void {
  if (all.length === 0) return;
  page.heading("Notes");
  for (const note of all) page.put(2, note, "plain", 4);
}

function missing(page: Page, { missing: all }: Report): void {
  if (all.length === 0) return;
  page.heading("What could not be seen, and what grants it");
  for (const [index, { path, why, grant }] of all.entries()) {
    page.put(2, `${path}: ${why}`, "plain", 4);
    // Several sources in a row may need the same: it is said once, behind the last.
    if (all[index + 1]?.grant !== grant) page.command(6, grant);
  }
}

function strange(page: Page, { strange: all }: Report): void {
  if (all.length === 0) return;
  page.heading("Texts of unknown format, as they are");
  for (const { path, problem, raw } of all) {
    page.put(2, `${path}: ${problem}`, "doubt", 4);
    for (const line of raw.trimEnd().split("\n").slice(0, 6)) page.put(6, `| ${line}`, "dim", 8);
  }
}

function advice(page: Page, report: Report): void {
  page.heading("What to do");
  if (report.advice.length === 0) page.put(2, nothingToDo(report));
  for (const [index, one] of report.advice.entries()) {
    page.put(2, `${index + 1}. ${capital(one.about)}. ${one.says}`, "plain", 5);
    for (const command of one.commands) page.command(7, command);
  }
}

function nothingToDo({ verdict, missing: all }: Report): string {
  if (verdict.exit === 2 || all.length > 0)
    return "Let the doctor see what it could not, named above, and run it again.";
  return "Nothing: no link is broken.";
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
