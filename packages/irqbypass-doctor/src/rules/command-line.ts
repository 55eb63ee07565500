/**
 * What the words of the kernel's command line do to interrupt posting. Each occurrence runs its handler, from left to
 * right, and each handler has switches of its own: so the last word does not simply win.
 */
import type { CommandLine, CommandWord } from "../parse/cmdline.js";
import type { KernelRelease } from "../parse/kernel-release.js";
import { readSwitch } from "./booleans.js";
import { since } from "./row.js";

/** What words switch on and off. */
export type SwitchName = "remapping" | "posting" | "translation" | "guest APIC mode" | "host posting";

interface Setting {
  readonly prefix: string;
  readonly sets: readonly (readonly [name: SwitchName, on: boolean])[];
  /** Before this version it was not read that the setting does so. */
  readonly since?: string;
}

interface WordRule {
  readonly name: string;
  /** Vendors whose driver reads it. */
  readonly vendors: readonly ("intel" | "amd")[];
  /** How settings are found: by the beginning of each part between commas, or the first that stands anywhere. */
  readonly find: "parts" | "first" | "always";
  /** Nothing switches it on again. */
  readonly sticks?: true;
  readonly settings: readonly Setting[];
  readonly source: string;
}

const BOTH = ["intel", "amd"] as const;

export const WORDS: readonly WordRule[] = [
  {
    name: "intremap",
    vendors: BOTH,
    find: "parts",
    settings: [
      {
        prefix: "on",
        sets: [
          ["remapping", true],
          ["posting", true],
        ],
        since: "5.10",
      },
      {
        prefix: "off",
        sets: [
          ["remapping", false],
          ["posting", false],
        ],
      },
      { prefix: "nopost", sets: [["posting", false]] },
      { prefix: "posted_msi", sets: [["host posting", true]] },
    ],
    source: "setup_irqremap(), read in 5.10.262 to 7.3.4",
  },
  {
    name: "nointremap",
    vendors: BOTH,
    find: "always",
    settings: [{ prefix: "", sets: [["remapping", false]] }],
    source: "setup_nointremap()",
  },
  {
    name: "intel_iommu",
    vendors: ["intel"],
    find: "parts",
    settings: [
      { prefix: "on", sets: [["translation", true]] },
      { prefix: "off", sets: [["translation", false]] },
    ],
    source: "intel_iommu_setup(); without translation there is no IOMMU group for VFIO",
  },
  {
    name: "amd_iommu",
    vendors: ["amd"],
    find: "parts",
    sticks: true,
    settings: [{ prefix: "off", sets: [["translation", false]] }],
    source: "parse_amd_iommu_options()",
  },
  {
    name: "amd_iommu_intr",
    vendors: ["amd"],
    find: "first",
    settings: [
      { prefix: "legacy", sets: [["guest APIC mode", false]] },
      { prefix: "vapic", sets: [["guest APIC mode", true]] },
    ],
    source: "parse_amd_iommu_intr()",
  },
  {
    name: "iommu",
    vendors: BOTH,
    find: "parts",
    sticks: true,
    settings: [{ prefix: "off", sets: [["translation", false]] }],
    source: "iommu_setup() in arch/x86/kernel/pci-dma.c",
  },
];

/** What became of one switch. */
export interface SwitchState {
  /** null where it is not known. */
  readonly on: boolean | null;
  /** The word that decided. */
  readonly word: CommandWord;
}

/** Runs the words of an x86 host; a switch that no word touched is not in the result. */
export function runCommandLine(
  line: CommandLine,
  vendor: "intel" | "amd",
  release: KernelRelease,
): ReadonlyMap<SwitchName, SwitchState> {
  const states = new Map<SwitchName, SwitchState>();
  const stuck = new Set<SwitchName>();
  for (const word of line) {
    const rule = WORDS.find(({ name, vendors }) => name === word.name && vendors.includes(vendor));
    if (rule === undefined) continue;
    for (const setting of settingsOf(rule, word)) {
      const known = setting.since === undefined || since(release, setting.since) === "yes";
      for (const [name, on] of setting.sets) {
        if (stuck.has(name)) continue;
        // An older kernel may leave "posting" alone here; that matters only where it was off.
        const unsure = !known && name === "posting" && on && states.get(name)?.on === false;
        states.set(name, { on: unsure ? null : on, word });
        if (rule.sticks === true && !on) stuck.add(name);
      }
    }
  }
  return states;
}

function settingsOf(rule: WordRule, { value }: CommandWord): readonly Setting[] {
  if (rule.find === "always") return rule.settings;
  if (value === null) return [];
  if (rule.find === "first") {
    const found = rule.settings
      .map((setting) => ({ setting, at: value.indexOf(setting.prefix) }))
      .filter(({ at }) => at >= 0)
      .sort((a, b) => a.at - b.at);
    return found.slice(0, 1).map(({ setting }) => setting);
  }
  return value
    .split(",")
    .flatMap((part) => rule.settings.find(({ prefix }) => part.startsWith(prefix)) ?? []);
}

/**
 * What the command line gives a module's switch ("kvm_intel", "enable_apicv"), by the last word for it; undefined where
 * there is none. A word without a value switches on.
 */
export function moduleSwitch(
  line: CommandLine,
  module: string,
  parameter: string,
  release: KernelRelease,
): { readonly on: boolean | null | undefined; readonly word: CommandWord } | undefined {
  const name = `${module}.${parameter}`.replaceAll("-", "_");
  let last: { on: boolean | null | undefined; word: CommandWord } | undefined;
  for (const word of line.filter((one) => one.name === name)) {
    const on = word.value === null ? true : readSwitch(word.value, release);
    // A value that is refused leaves what an earlier word has set.
    if (on !== null || last === undefined) last = { on, word };
  }
  return last;
}
