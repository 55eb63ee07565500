/**
 * What the words of the kernel's command line do to interrupt posting. Each occurrence runs its handler, from left to
 * right, and each handler has switches of its own: so the last word does not simply win.
 */
import type { CommandLine, CommandWord } from "../parse/cmdline.js";
import type { KernelRelease } from "../parse/kernel-release.js";
import { readSwitch } from "./booleans.js";
import { since } from "./row.js";

/** What words switch on and off. */
export type SwitchName =
  | "remapping"
  | "posting"
  | "translation"
  | "guest APIC mode"
  | "host posting"
  | "MSI"
  | "ACPI";

interface Setting {
  /** What is looked for in the word's value; "" for a word that says all by being there. */
  readonly text: string;
  /** Before the version `since` it was not read that the setting does so. */
  readonly sets: readonly (readonly [name: SwitchName, on: boolean, since?: string])[];
}

/** Whose kernels read a word. */
export type Platform = "intel" | "amd" | "arm64";

interface WordRule {
  readonly name: string;
  /** A vendor's own driver reads some. */
  readonly platforms: readonly Platform[];
  /**
   * How settings are found: by the beginning of each part between commas, by each such part as a whole, by the whole
   * value, or the first that stands anywhere.
   */
  readonly find: "beginnings" | "parts" | "value" | "first" | "always";
  /** Nothing switches it on again. */
  readonly sticks?: true;
  /** First version that reads the word no more. */
  readonly until?: string;
  readonly settings: readonly Setting[];
  readonly source: string;
}

const X86 = ["intel", "amd"] as const;
const ALL = [...X86, "arm64"] as const;

/** Words that leave the I/O APICs alone. */
function ioApic(name: string, handler: string): WordRule {
  return {
    name,
    platforms: X86,
    find: "always",
    sticks: true,
    // Before, a kernel that found x2APIC on remapped all the same.
    settings: [{ text: "", sets: [["remapping", false, "4.10"]] }],
    source:
      `${handler} and disable_ioapic_support(); enable_IR_x2apic() returns with skip_ioapic_setup, read in 4.10.10; ` +
      "ioapic_is_disabled is its later name",
  };
}

/** Words that leave the local APICs alone. */
function localApic(name: string, handler: string): WordRule {
  return {
    name,
    platforms: X86,
    find: "always",
    sticks: true,
    settings: [{ text: "", sets: [["MSI", false, "4.19"]] }],
    source:
      `${handler}; without a local APIC no domain for MSI is made: arch_init_msi_domain(), read in 4.19; ` +
      "native_create_pci_msi_domain() is its later name",
  };
}

/** The kernel's own description of its words, which is as old as they are. */
const DOCUMENT = "Documentation/admin-guide/kernel-parameters.txt";

export const WORDS: readonly WordRule[] = [
  {
    name: "intremap",
    platforms: X86,
    find: "beginnings",
    settings: [
      {
        text: "on",
        sets: [
          ["remapping", true],
          ["posting", true, "5.10"],
        ],
      },
      {
        text: "off",
        sets: [
          ["remapping", false],
          ["posting", false],
        ],
      },
      { text: "nopost", sets: [["posting", false]] },
      { text: "posted_msi", sets: [["host posting", true]] },
    ],
    source: "setup_irqremap(), read in 5.10.262 to 7.3.4",
  },
  {
    name: "nointremap",
    platforms: X86,
    find: "always",
    settings: [{ text: "", sets: [["remapping", false]] }],
    source: "setup_nointremap(), read at 03bbcb2e7e29, beside setup_irqremap()",
  },
  {
    name: "intel_iommu",
    platforms: ["intel"],
    find: "beginnings",
    settings: [
      { text: "on", sets: [["translation", true]] },
      { text: "off", sets: [["translation", false]] },
    ],
    source: `intel_iommu_setup(), and ${DOCUMENT}; without translation there is no IOMMU group for VFIO`,
  },
  {
    name: "amd_iommu",
    platforms: ["amd"],
    find: "beginnings",
    sticks: true,
    settings: [{ text: "off", sets: [["translation", false]] }],
    source: `parse_amd_iommu_options(), and ${DOCUMENT}`,
  },
  {
    name: "amd_iommu_intr",
    platforms: ["amd"],
    find: "first",
    settings: [
      { text: "legacy", sets: [["guest APIC mode", false]] },
      { text: "vapic", sets: [["guest APIC mode", true]] },
    ],
    source: `parse_amd_iommu_intr(), and ${DOCUMENT}`,
  },
  {
    name: "iommu",
    platforms: X86,
    find: "beginnings",
    sticks: true,
    settings: [{ text: "off", sets: [["translation", false]] }],
    source: "iommu_setup() in arch/x86/kernel/pci-dma.c, read in 4.19",
  },
  {
    name: "pci",
    platforms: ALL,
    find: "parts",
    sticks: true,
    settings: [{ text: "nomsi", sets: [["MSI", false]] }],
    source: `pci_setup(), which compares each part as a whole, read in 4.19, and ${DOCUMENT}`,
  },
  {
    name: "acpi",
    platforms: X86,
    find: "value",
    settings: [
      { text: "off", sets: [["ACPI", false]] },
      { text: "force", sets: [["ACPI", true]] },
    ],
    source: `parse_acpi(), and ${DOCUMENT}; DMAR and IVRS, which name the units, are tables of ACPI`,
  },
  ioApic("noapic", "setup_noapic()"),
  ioApic("nosmp", "nosmp(), arch_disable_smp_support()"),
  {
    ...ioApic(
      "maxcpus",
      "maxcpus(), which does what nosmp() does for 0, read in 4.19, arch_disable_smp_support()",
    ),
    find: "value",
    settings: [{ text: "0", sets: [["remapping", false, "4.10"]] }],
  },
  localApic("nolapic", "setup_nolapic()"),
  { ...localApic("disableapic", "setup_disableapic(), removed by 13148e22c151, 6.14"), until: "6.14" },
];

/** What became of one switch. */
export interface SwitchState {
  /** null where it is not known. */
  readonly on: boolean | null;
  /** The word that decided. */
  readonly word: CommandWord;
}

/** Runs the words of a host; a switch that no word touched is not in the result. All are on before. */
export function runCommandLine(
  line: CommandLine,
  platform: Platform,
  release: KernelRelease,
): ReadonlyMap<SwitchName, SwitchState> {
  const states = new Map<SwitchName, SwitchState>();
  const stuck = new Set<SwitchName>();
  for (const word of line) {
    const rule = WORDS.find(({ name, platforms }) => name === word.name && platforms.includes(platform));
    const gone = rule?.until === undefined ? "no" : since(release, rule.until);
    if (rule === undefined || gone === "yes") continue;
    for (const { sets } of settingsOf(rule, word)) {
      for (const [name, on, from] of sets) {
        if (stuck.has(name)) continue;
        // Another kernel may leave the switch as it was; that matters only where it was otherwise.
        const known = gone === "no" && (from === undefined || since(release, from) === "yes");
        const same = (states.get(name)?.on ?? true) === on;
        states.set(name, { on: known || same ? on : null, word });
        if (rule.sticks === true && !on && known) stuck.add(name);
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
      .map((setting) => ({ setting, at: value.indexOf(setting.text) }))
      .filter(({ at }) => at >= 0)
      .sort((a, b) => a.at - b.at);
    return found.slice(0, 1).map(({ setting }) => setting);
  }
  const parts = rule.find === "value" ? [value] : value.split(",");
  const fits = (part: string, text: string) =>
    rule.find === "beginnings" ? part.startsWith(text) : part === text;
  return parts.flatMap((part) => rule.settings.find(({ text }) => fits(part, text)) ?? []);
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
