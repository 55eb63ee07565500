/**
 * The chain on x86: VMX or SVM, an IOMMU that remaps and posts interrupts, APICv or AVIC, and KVM's own conclusion.
 */

import type { Host, Unit } from "../facts/host.js";
import { settings } from "../parse/cmdline.js";
import { hasGa, hasGuestApic } from "../parse/iommu-amd.js";
import { canPost, canRemap } from "../parse/iommu-intel.js";
import type { Module } from "../parse/modules.js";
import { known, type Reading } from "../source/source.js";
import type { TraceFacts } from "../source/trace-facts.js";
import { inhibitLink } from "./inhibits.js";
import { type Chain, link, seen, whyNot } from "./link.js";
import type { ChainLink, Evidence } from "./report.js";

/** Examines the links of an x86 host. */
export function intelOrAmdChain(host: Host, trace: TraceFacts | undefined): Chain {
  const module = vendorModule(host);
  const statics = [
    virtualisation(host, module),
    iommu(host),
    remapping(host),
    capability(host),
    commandLine(host),
    moduleParameters(module),
    apic(host, module),
  ];
  const own = module?.parameters.get("enable_device_posted_irqs");
  const conclusion = conclude(own, statics);
  const links = [...statics, inhibitLink(host.processes.found, trace), conclusion];
  const broken = statics.filter((one) => one.state === "broken");
  const contradictions =
    known(own ?? ABSENT) === true && broken.length > 0
      ? [
          `KVM says that it can post (enable_device_posted_irqs=Y), yet ${broken[0]!.name} looks broken: ${broken[0]!.says}`,
        ]
      : [];
  const able =
    contradictions.length > 0
      ? "unknown"
      : conclusion.state === "holds"
        ? "yes"
        : conclusion.state === "broken" || broken.length > 0
          ? "no"
          : "unknown";
  return { links, able, broken: root(links, apicHardware(host, module)), contradictions };
}

const ABSENT: Reading<boolean> = { state: "absent", path: "" };

/** KVM's vendor module of this CPU; a module of the other vendor may be built in, and shows nothing true. */
export function vendorModule(host: Host): Module | undefined {
  const vendor = known(host.cpu)?.vendor;
  return host.modules.find(({ name }) => name === (vendor === "amd" ? "kvm_amd" : "kvm_intel"));
}

/** Some links break as a consequence of others: the command line is the root of what it switches off. */
function root(links: readonly ChainLink[], hardware: boolean | undefined): ChainLink | undefined {
  const broken = links.filter((one) => one.state === "broken");
  const first = broken[0];
  if (first?.name === "CPU virtualisation") return first;
  // A parameter falls back to N where the CPU lacks what it switches on.
  if (first?.name === "module parameters" && hardware === false) {
    return broken.find((one) => one.name === "APICv/AVIC");
  }
  return broken.find((one) => one.name === "kernel command line") ?? first;
}

function virtualisation(host: Host, module: Module | undefined): ChainLink {
  const name = "CPU virtualisation";
  const cpu = known(host.cpu);
  if (cpu === undefined) return link(name, "unknown", `/${host.cpu.path} ${whyNot(host.cpu)}`);
  const extension = cpu.flags.has("vmx") ? "VMX" : cpu.flags.has("svm") ? "SVM" : undefined;
  const flags = seen(
    host.cpu,
    `flags ${extension === undefined ? "have neither vmx nor svm" : `have ${extension.toLowerCase()}`}`,
  );
  const loaded = (which: string): Evidence => ({ source: `/sys/module/${which}`, says: "loaded" });
  if (extension !== undefined && module !== undefined) {
    return link(name, "holds", `${extension}, and ${module.name} is loaded`, flags, loaded(module.name));
  }
  const pvm = host.modules.some((one) => one.name === "kvm_pvm");
  if (pvm) {
    return link(
      name,
      "broken",
      "KVM runs without VMX or SVM (kvm_pvm): irqfd works, posting cannot",
      flags,
      loaded("kvm_pvm"),
    );
  }
  if (extension === undefined) {
    return link(name, "broken", "the CPU shows neither VMX nor SVM", flags);
  }
  const wanted = cpu.vendor === "amd" ? "kvm_amd" : "kvm_intel";
  return link(name, "broken", `the CPU has ${extension}, but ${wanted} is not loaded`, flags, {
    source: `/sys/module/${wanted}`,
    says: "is not there",
  });
}

function iommu(host: Host): ChainLink {
  const units = known(host.units) ?? [];
  const groups = known(host.groups) ?? 0;
  const inGroups = `${groups} ${groups === 1 ? "group" : "groups"}`;
  const evidence = [
    seen(host.units, units.length === 0 ? "no unit" : units.map(({ name }) => name).join(", ")),
    seen(host.groups, inGroups),
  ];
  if (host.units.state === "unreadable")
    return link("IOMMU", "unknown", `/${host.units.path} ${whyNot(host.units)}`);
  if (units.length === 0) {
    const says = groups === 0 ? "no IOMMU is in use" : `${inGroups}, but no unit shows itself`;
    return link("IOMMU", groups === 0 ? "broken" : "unknown", says, ...evidence);
  }
  const count = units.length === 1 ? `1 unit (${units[0]!.name})` : `${units.length} units (${names(units)})`;
  return link("IOMMU", "holds", `${count}, ${inGroups}`, ...evidence);
}

function names(units: readonly Unit[]): string {
  const all = units.map(({ name }) => name);
  return all.length <= 4 ? all.join(", ") : `${all[0]} to ${all.at(-1)}`;
}

function remapping(host: Host): ChainLink {
  const name = "interrupt remapping";
  const tables = known(host.intelTables);
  if (tables !== undefined && tables.disabled.length > 0) {
    return link(
      name,
      "broken",
      `off on ${tables.disabled.join(", ")}`,
      seen(host.intelTables, "Interrupt Remapping is not enabled"),
    );
  }
  const interrupts = known(host.interrupts);
  if (interrupts === undefined)
    return link(name, "unknown", `/${host.interrupts.path} ${whyNot(host.interrupts)}`);
  const chips = [...interrupts.lines.values()].map(({ chip }) => chip);
  const remapped = chips.filter((chip) => chip.startsWith("IR-")).length;
  const plain = chips.filter((chip) => /^(PCI-MSI|IO-APIC)/.test(chip)).length;
  if (remapped > 0) {
    const says =
      plain === 0
        ? "on: the chips of all interrupts are IR-"
        : `on, but ${plain} interrupts are not remapped`;
    return link(
      name,
      "holds",
      says,
      seen(host.interrupts, `${remapped} of ${remapped + plain} chips start with IR-`),
    );
  }
  const units = known(host.units) ?? [];
  const incapable = units.filter(
    (unit) => unit.kind === "intel" && known(unit.ecap) !== undefined && !canRemap(known(unit.ecap)!),
  );
  const capability = incapable.map((unit) => ({
    source: `/sys/class/iommu/${unit.name}/intel-iommu/ecap`,
    says: "bit 3 (interrupt remapping) is 0",
  }));
  if (plain === 0)
    return link(name, "unknown", "no interrupt shows a chip of PCI or of the I/O APIC", ...capability);
  return link(
    name,
    "broken",
    "off: no chip starts with IR-",
    seen(host.interrupts, `${plain} chips, none starts with IR-`),
    ...capability,
  );
}

function capability(host: Host): ChainLink {
  const name = "posting capability";
  const units = known(host.units) ?? [];
  const intel = units.filter((unit) => unit.kind === "intel");
  const amd = units.filter((unit) => unit.kind === "amd");
  if (intel.length + amd.length === 0) {
    const none = units.length === 0 && host.units.state !== "unreadable";
    return link(
      name,
      none ? "broken" : "unknown",
      none ? "no unit to post" : "the units do not show their capabilities",
    );
  }
  const lacking: Evidence[] = [];
  const hidden: string[] = [];
  for (const unit of intel) {
    const cap = known(unit.cap);
    if (cap === undefined) hidden.push(`/${unit.cap.path} ${whyNot(unit.cap)}`);
    else if (!canPost(cap)) lacking.push(seen(unit.cap, `${unit.name}: bit 59 (posted interrupts) is 0`));
  }
  for (const unit of amd) {
    const features = known(unit.features);
    if (features === undefined) hidden.push(`/${unit.features.path} ${whyNot(unit.features)}`);
    else if (!hasGa(features)) lacking.push(seen(unit.features, `${unit.name}: bit 7 (GA) is 0`));
    else if (!hasGuestApic(features))
      lacking.push(seen(unit.features, `${unit.name}: bit 21 (guest virtual APIC) is 0`));
  }
  const total = intel.length + amd.length;
  if (lacking.length > 0) {
    const which = lacking.map(({ says }) => says.slice(0, says.indexOf(":"))).join(", ");
    return link(
      name,
      "broken",
      `${lacking.length} of ${total} units cannot post: ${which}; all must`,
      ...lacking,
    );
  }
  if (hidden.length > 0) return link(name, "unknown", hidden[0]!);
  if (intel.length > 0 && known(host.cpu)?.flags.has("cx16") === false) {
    return link(name, "broken", "the CPU lacks cmpxchg16b", seen(host.cpu, "flags lack cx16"));
  }
  const proof =
    intel.length > 0
      ? {
          source: "/sys/class/iommu/dmar*/intel-iommu/cap",
          says: "bit 59 is 1 in each",
        }
      : {
          source: "/sys/class/iommu/ivhd*/amd-iommu/features",
          says: "bits 7 and 21 are 1 in each",
        };
  return link(name, "holds", `${total} of ${total} units can post`, proof);
}

/** Words that forbid posting, with what they do. */
const FORBIDDING: readonly (readonly [string, string, string])[] = [
  ["intremap", "off", "switches interrupt remapping off"],
  ["intremap", "nopost", "forbids the IOMMU to post"],
  ["intel_iommu", "off", "switches the IOMMU off"],
  ["amd_iommu", "off", "switches the IOMMU off"],
  ["amd_iommu_intr", "legacy", "forbids the guest virtual APIC mode"],
  ["iommu", "off", "switches the IOMMU off"],
];

/** A word of the command line that forbids posting: "intremap=nopost". */
export function forbiddingWord(host: Host): { readonly word: string; readonly does: string } | undefined {
  const line = known(host.cmdline);
  if (line === undefined) return undefined;
  const found = FORBIDDING.find(([name, value]) => settings(line, name).includes(value));
  return found === undefined ? undefined : { word: `${found[0]}=${found[1]}`, does: found[2] };
}

/** True if the kernel posts the interrupts of its own devices too, so that a posted table entry proves nothing. */
export function postsForHost(host: Host): boolean | undefined {
  const line = known(host.cmdline);
  return line === undefined ? undefined : settings(line, "intremap").includes("posted_msi");
}

function commandLine(host: Host): ChainLink {
  const name = "kernel command line";
  const line = known(host.cmdline);
  if (line === undefined) return link(name, "unknown", `/${host.cmdline.path} ${whyNot(host.cmdline)}`);
  const forbidding = forbiddingWord(host);
  if (forbidding !== undefined) {
    return link(name, "broken", `${forbidding.word} ${forbidding.does}`, seen(host.cmdline, forbidding.word));
  }
  const words = ["intremap", "intel_iommu", "amd_iommu", "amd_iommu_intr", "iommu", "nox2apic"]
    .filter((word) => line.has(word))
    .map((word) =>
      line
        .get(word)!
        .map((value) => (value === "" ? word : `${word}=${value}`))
        .join(" "),
    );
  const says =
    words.length === 0 ? "nothing about interrupts" : `${words.join(" ")}: nothing that forbids posting`;
  return link(name, "holds", says, seen(host.cmdline, words.join(" ") || "no word about interrupts"));
}

/** Reads one parameter of the vendor module as "Y", "N" or why not. */
function shown(module: Module, parameter: string): string | undefined {
  const reading = module.parameters.get(parameter);
  if (reading === undefined || reading.state === "absent") return undefined;
  const value = known(reading);
  return `${parameter}=${value === undefined ? "?" : value ? "Y" : "N"}`;
}

/** The parameter that switches APICv or AVIC. */
function apicParameter(module: Module): Reading<boolean> | undefined {
  return module.parameters.get(module.name === "kvm_intel" ? "enable_apicv" : "avic");
}

function moduleParameters(module: Module | undefined): ChainLink {
  const name = "module parameters";
  if (module === undefined) return link(name, "unknown", "no KVM module of this CPU's vendor is loaded");
  const all = [...module.parameters.keys()]
    .map((parameter) => shown(module, parameter))
    .filter((one) => one !== undefined);
  const evidence = { source: `/sys/module/${module.name}/parameters`, says: all.join(" ") };
  const apic = apicParameter(module);
  if (apic === undefined || apic.state !== "read") {
    const reading = apic ?? ABSENT;
    return link(name, "unknown", `/${reading.path} ${whyNot(reading)}`);
  }
  if (apic.value) return link(name, "holds", `${module.name}: ${all.join(" ")}`, evidence);
  const parameter = module.name === "kvm_intel" ? "enable_apicv" : "avic";
  return link(name, "broken", `${module.name}: ${parameter}=N`, evidence);
}

/** Whether the CPU shows virtual APICs that can be posted to; undefined where it does not say. */
function apicHardware(host: Host, module: Module | undefined): boolean | undefined {
  const cpu = known(host.cpu);
  if (cpu === undefined || module === undefined) return undefined;
  // Firmware hides the flag of AVIC on CPUs that have it, so only its presence says something.
  if (module.name === "kvm_amd") return cpu.flags.has("avic") || cpu.flags.has("x2avic") ? true : undefined;
  return cpu.vmx?.has("posted_intr");
}

function apic(host: Host, module: Module | undefined): ChainLink {
  const name = "APICv/AVIC";
  const cpu = known(host.cpu);
  if (module === undefined || cpu === undefined)
    return link(name, "unknown", "not known without KVM's module");
  const which = module.name === "kvm_intel" ? "APICv" : "AVIC";
  const on = known(apicParameter(module) ?? ABSENT);
  const hardware = apicHardware(host, module);
  const has = hardware === undefined ? "do not say whether there is" : hardware ? "have" : "lack";
  const flag = which === "APICv" ? "posted_intr" : cpu.flags.has("x2avic") ? "x2avic" : "avic";
  const evidence = seen(host.cpu, `${which === "APICv" ? "vmx flags" : "flags"} ${has} ${flag}`);
  if (hardware === false) return link(name, "broken", "the CPU's VMX has no posted interrupts", evidence);
  if (on === undefined) return link(name, "unknown", `whether ${which} is on is not shown`, evidence);
  if (on) return link(name, "holds", `${which} is on`, evidence);
  return link(name, "broken", hardware ? `the CPU has ${which}, and it is off` : `${which} is off`, evidence);
}

function conclude(own: Reading<boolean> | undefined, statics: readonly ChainLink[]): ChainLink {
  const name = "KVM's own conclusion";
  const broken = statics.find((one) => one.state === "broken");
  if (own?.state === "read") {
    const evidence = seen(own, own.value ? "Y" : "N");
    if (own.value) return link(name, "holds", "enable_device_posted_irqs=Y: able", evidence);
    const why =
      broken === undefined ? "asked off, or unable for a reason that no file shows" : `see ${broken.name}`;
    return link(name, "broken", `enable_device_posted_irqs=N: ${why}`, evidence);
  }
  if (own !== undefined && own.state !== "absent")
    return link(name, "unknown", `/${own.path} ${whyNot(own)}`);
  if (own === undefined) return link(name, "unknown", "KVM's module for this CPU is not there to be asked");
  const before = "not shown before Linux 6.16; from the links above: ";
  if (broken !== undefined) return link(name, "broken", `${before}unable`);
  const unknown = statics.find((one) => one.state === "unknown");
  if (unknown !== undefined) return link(name, "unknown", `${before}${unknown.name} is not known`);
  return link(name, "holds", `${before}able`);
}
