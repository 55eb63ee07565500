/**
 * The link that is the kernel's command line of an x86 host.
 */
import type { Host } from "../facts/host.js";
import type { Module } from "../parse/modules.js";
import {
  moduleSwitch,
  runCommandLine,
  type SwitchName,
  type SwitchState,
  WORDS,
} from "../rules/command-line.js";
import { since } from "../rules/row.js";
import { known } from "../source/source.js";
import { type Contradiction, link, releaseOf, seen, whyNot } from "./link.js";
import type { ChainLink } from "./report.js";

/** What a switch does when it is off, the gravest first. */
const OFF: readonly (readonly [name: SwitchName, does: string])[] = [
  ["ACPI", "switches ACPI off, whose tables name the units of the IOMMU"],
  ["MSI", "switches MSI and MSI-X off, and INTx cannot be posted"],
  ["translation", "switches the IOMMU off"],
  ["remapping", "switches interrupt remapping off"],
  ["posting", "forbids the IOMMU to post"],
  ["guest APIC mode", "forbids the guest virtual APIC mode"],
];

/** A word that forbids posting, with what it does. */
export interface ForbiddingWord {
  readonly word: string;
  readonly does: string;
}

/** The switches of the command line as this host's kernel sets them; undefined where the line is not known. */
export function switchesOf(host: Host): ReadonlyMap<SwitchName, SwitchState> | undefined {
  const line = known(host.cmdline);
  const cpu = known(host.cpu);
  const platform = cpu?.arch === "arm64" ? "arm64" : cpu?.vendor === "amd" ? "amd" : "intel";
  return line === undefined ? undefined : runCommandLine(line, platform, releaseOf(host));
}

/** The word of the command line that forbids posting; undefined if none does. */
export function forbiddingWord(host: Host, module: Module | undefined): ForbiddingWord | undefined {
  const states = switchesOf(host);
  for (const [name, does] of OFF) {
    const state = states?.get(name);
    if (state?.on === false) return { word: state.word.text, does };
  }
  return moduleWords(host, module).find(({ inForce }) => inForce);
}

/** Parameters without which nothing is posted. */
const SWITCHES = new Set(["enable_apicv", "avic", "enable_device_posted_irqs"]);

/** Words that switch a parameter of KVM's module off. A parameter that reads N may have its root there. */
function moduleWords(
  host: Host,
  module: Module | undefined,
): readonly (ForbiddingWord & { readonly inForce: boolean })[] {
  const line = known(host.cmdline);
  if (line === undefined || module === undefined) return [];
  return [...module.parameters].flatMap(([parameter, reading]) => {
    if (!SWITCHES.has(parameter)) return [];
    const given = moduleSwitch(line, module.name, parameter, releaseOf(host));
    if (given?.on !== false) return [];
    return [
      {
        word: given.word.text,
        does: `gives ${module.name} ${parameter}=N`,
        // Who loads a module may have said otherwise: what the parameter reads counts.
        inForce: known(reading) === false,
      },
    ];
  });
}

/**
 * Whether the kernel posts the interrupts of its own devices too, so that a posted table entry proves nothing; undefined
 * where that is not known.
 */
export function postsForHost(host: Host): boolean | undefined {
  const states = switchesOf(host);
  if (states === undefined) return undefined;
  if (states.get("host posting")?.on !== true) return false;
  const has = since(releaseOf(host), "6.10");
  return has === "perhaps" ? undefined : has === "yes";
}

/** Words that switch off what plainly is there: they did not do so. */
export function wordsWithoutEffect(host: Host, iommu: boolean, remapping: boolean): Contradiction[] {
  const states = switchesOf(host);
  const chips = [...(known(host.interrupts)?.lines.values() ?? [])].map(({ chip }) => chip);
  const msi = chips.some((chip) => /^(IR-)?PCI-MSI|^ITS-(PCI-)?MSI/.test(chip));
  const there: readonly (readonly [name: SwitchName, is: boolean, says: string])[] = [
    ["translation", iommu, "switches the IOMMU off, yet its units and groups are there"],
    ["ACPI", iommu, "switches ACPI off, yet the units of the IOMMU are there, which ACPI names"],
    ["remapping", remapping, "switches interrupt remapping off, yet interrupts have chips with IR-"],
    ["MSI", msi, "switches MSI off, yet interrupts have chips of MSI"],
  ];
  return there.flatMap(([name, is, says]) => {
    const state = states?.get(name);
    return is && state?.on === false
      ? [{ link: "kernel command line" as const, says: `${state.word.text} ${says}` }]
      : [];
  });
}

/** Words that are shown beside those that have rules. */
const SHOWN = new Set([...WORDS.map(({ name }) => name), "nox2apic"]);

/** Examines the command line. */
export function commandLineLink(host: Host, module: Module | undefined): ChainLink {
  const name = "kernel command line";
  const line = known(host.cmdline);
  if (line === undefined) return link(name, "unknown", `/${host.cmdline.path} ${whyNot(host.cmdline)}`);
  const forbidding = forbiddingWord(host, module);
  if (forbidding !== undefined) {
    return link(name, "broken", `${forbidding.word} ${forbidding.does}`, seen(host.cmdline, forbidding.word));
  }
  const own = moduleWords(host, module).map(({ word }) => word);
  const words = line
    .filter((word) => SHOWN.has(word.name) || own.includes(word.text))
    .map(({ text }) => text);
  const shown = words.join(" ");
  const states = switchesOf(host);
  const unsure = OFF.map(([which]) => states?.get(which)).find((state) => state?.on === null);
  if (unsure !== undefined)
    return link(
      name,
      "unknown",
      `what ${unsure.word.text} does to the remapping and posting of interrupts is not known for this kernel`,
      seen(host.cmdline, shown),
    );
  const says = words.length === 0 ? "nothing about interrupts" : `${shown}: nothing that forbids posting`;
  return link(name, "holds", says, seen(host.cmdline, shown || "no word about interrupts"));
}
