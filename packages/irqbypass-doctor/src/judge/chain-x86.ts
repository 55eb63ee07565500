/**
 * The chain on x86: a kernel that posts, VMX or SVM, an IOMMU that remaps and posts interrupts, APICv or AVIC, and KVM's
 * own conclusion.
 */

import type { Host } from "../facts/host.js";
import type { Module } from "../parse/modules.js";
import { since } from "../rules/row.js";
import { known, type Reading } from "../source/source.js";
import type { TraceFacts } from "../source/trace-facts.js";
import { commandLineLink, wordsWithoutEffect } from "./command-line.js";
import { inhibitLink } from "./inhibits.js";
import { capability, iommu, remapping } from "./iommu.js";
import { kernelLink } from "./kernel.js";
import {
  type Chain,
  type Contradiction,
  contradictedLink,
  link,
  NO_SYSFS,
  releaseOf,
  seen,
  whyNot,
} from "./link.js";
import type { ChainLink, Evidence, LinkName } from "./report.js";

/** Examines the links of an x86 host. */
export function intelOrAmdChain(host: Host, trace: TraceFacts | undefined): Chain {
  const module = vendorModule(host);
  const own = module?.parameters.get("enable_device_posted_irqs") ?? ABSENT;
  const shown = own.state === "read" ? "enable_device_posted_irqs is there" : undefined;
  const examined = [
    kernelLink(host, vendorOf(host) === "amd" ? "AMD" : "Intel", shown),
    virtualisation(host, module),
    iommu(host),
    remapping(host),
    capability(host),
    commandLineLink(host, module),
    moduleParameters(host, module),
    apic(host, module),
  ];
  const holds = (name: LinkName) => examined.some((one) => one.name === name && one.state === "holds");
  const words = wordsWithoutEffect(host, holds("IOMMU"), holds("interrupt remapping"));
  const statics = examined.map((one) => contradictedLink(one, words));
  const conclusion = conclude(host, module === undefined ? undefined : own, statics);
  const links = [...statics, inhibitLink(host, trace), conclusion];
  const broken = statics.filter((one) => one.state === "broken");
  const against = known(own) === true ? broken.map(againstKvm) : [];
  const contradictions = [...words, ...against];
  const no = against.length === 0 && (broken.length > 0 || conclusion.state === "broken");
  const yes = contradictions.length === 0 && conclusion.state === "holds";
  const able = no ? "no" : yes ? "yes" : "unknown";
  const settled = no || contradictions.length === 0;
  return {
    links,
    able,
    broken: settled ? root(links, apicHardware(host, module)) : undefined,
    contradictions,
    ruled: true,
  };
}

/** A link that is broken by its own evidence, while KVM found itself able. */
function againstKvm({ name, says }: ChainLink): Contradiction {
  const link = `${name} looks broken (${says})`;
  return { link: name, says: `${link}, yet KVM says that it can post (enable_device_posted_irqs=Y)` };
}

export const ABSENT: Reading<boolean> = { state: "absent", path: "" };

/** Whose rules hold: AMD's and Hygon's CPUs have SVM and AMD-Vi, all others VMX and VT-d. */
export function vendorOf(host: Host): "intel" | "amd" {
  return known(host.cpu)?.vendor === "amd" ? "amd" : "intel";
}

/** KVM's vendor module of this CPU; a module of the other vendor may be built in, and shows nothing true. */
export function vendorModule(host: Host): Module | undefined {
  return host.modules.find(({ name }) => name === (vendorOf(host) === "amd" ? "kvm_amd" : "kvm_intel"));
}

/** Some links break as a consequence of others: the command line is the root of what it switches off. */
function root(links: readonly ChainLink[], hardware: boolean | undefined): ChainLink | undefined {
  const broken = links.filter((one) => one.state === "broken");
  const first = broken[0];
  if (first?.name === "kernel" || first?.name === "CPU virtualisation") return first;
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
  if (!host.sysfs) return link(name, "unknown", `the CPU has ${extension}; ${NO_SYSFS}`, flags);
  const wanted = vendorOf(host) === "amd" ? "kvm_amd" : "kvm_intel";
  return link(name, "broken", `the CPU has ${extension}, but ${wanted} is not loaded`, flags, {
    source: `/sys/module/${wanted}`,
    says: "is not there",
  });
}

/** Reads one parameter of the vendor module as "Y", "N" or why not. */
function shown(module: Module, parameter: string): string | undefined {
  const reading = module.parameters.get(parameter);
  if (reading === undefined || reading.state === "absent") return undefined;
  const value = known(reading);
  return `${parameter}=${value === undefined ? "?" : value ? "Y" : "N"}`;
}

/** Name of the parameter that switches APICv or AVIC. */
export function apicParameter(module: Module): string {
  return module.name === "kvm_intel" ? "enable_apicv" : "avic";
}

function moduleParameters(host: Host, module: Module | undefined): ChainLink {
  const name = "module parameters";
  if (module === undefined) return link(name, "unknown", "no KVM module of this CPU's vendor is loaded");
  const all = [...module.parameters.keys()]
    .filter((parameter) => parameter !== "npt" && parameter !== "nested")
    .map((parameter) => shown(module, parameter))
    .filter((one) => one !== undefined);
  const evidence = { source: `/sys/module/${module.name}/parameters`, says: all.join(" ") };
  const parameter = apicParameter(module);
  const apic = module.parameters.get(parameter) ?? ABSENT;
  if (apic.state !== "read") return link(name, "unknown", `/${apic.path} ${whyNot(apic)}`);
  if (apic.value) return link(name, "holds", `${module.name}: ${all.join(" ")}`, evidence);
  const given = host.boot.options.find((one) => one.module === module.name && one.parameter === parameter);
  const root = given && { source: given.file, says: `${parameter}=${given.value}` };
  return link(name, "broken", `${module.name}: ${parameter}=N`, evidence, root);
}

/** Whether the CPU shows virtual APICs that can be posted to; undefined where it does not say. */
export function apicHardware(host: Host, module: Module | undefined): boolean | undefined {
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
  const on = known(module.parameters.get(apicParameter(module)) ?? ABSENT);
  const hardware = apicHardware(host, module);
  const has = hardware === undefined ? "do not say whether there is" : hardware ? "have" : "lack";
  const flag = which === "APICv" ? "posted_intr" : cpu.flags.has("x2avic") ? "x2avic" : "avic";
  const evidence = seen(host.cpu, `${which === "APICv" ? "vmx flags" : "flags"} ${has} ${flag}`);
  if (hardware === false) return link(name, "broken", "the CPU's VMX has no posted interrupts", evidence);
  if (on === undefined) return link(name, "unknown", `whether ${which} is on is not shown`, evidence);
  if (on) return link(name, "holds", `${which} is on`, evidence);
  return link(name, "broken", hardware ? `the CPU has ${which}, and it is off` : `${which} is off`, evidence);
}

function conclude(host: Host, own: Reading<boolean> | undefined, statics: readonly ChainLink[]): ChainLink {
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
  const older = since(releaseOf(host), "6.16") === "no";
  const before = `not shown${older ? " before Linux 6.16" : " on this kernel"}; from the links above: `;
  if (broken !== undefined) return link(name, "broken", `${before}unable`);
  const unknown = statics.find((one) => one.state === "unknown");
  if (unknown !== undefined) return link(name, "unknown", `${before}${unknown.name} is not known`);
  return link(name, "holds", `${before}able`);
}
