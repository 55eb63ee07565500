/**
 * Advice about APICv and AVIC that are off: what switches them on on this CPU and kernel, and what else a guest needs.
 */
import type { Host } from "../../facts/host.js";
import type { Module } from "../../parse/modules.js";
import { since } from "../../rules/row.js";
import { known } from "../../source/source.js";
import { ABSENT } from "../chain-x86.js";
import { releaseOf } from "../link.js";
import type { Advice, ChainLink } from "../report.js";
import { setParameter } from "./persist.js";

/** About a parameter of KVM's module that reads N. */
export function aboutParameter(host: Host, link: ChainLink, module: Module): Advice {
  if (module.name === "kvm_amd") return aboutAvic(host, link, module);
  return {
    about: link.name,
    says: "KVM was loaded without APICv. Switch it on; if the parameter falls back to N, the CPU or the hypervisor below lacks it.",
    commands: setParameter(host, "kvm_intel", "enable_apicv", "1"),
  };
}

/** First family of AMD's Zen: 17h. All of them have AVIC, whether the firmware shows it or not. */
const ZEN = 0x17;

function aboutAvic(host: Host, link: ChainLink, module: Module): Advice {
  const cpu = known(host.cpu);
  const release = releaseOf(host);
  if (known(module.parameters.get("npt") ?? ABSENT) === false)
    return {
      about: link.name,
      says: "AVIC needs nested paging, and that is off: switch npt on, and avic with it.",
      commands: setParameter(host, "kvm_amd", "npt", "1"),
    };
  const flag = cpu?.flags.has("avic") === true;
  const extended = cpu?.flags.has("x2avic") === true;
  if (!flag && (extended || (cpu?.family ?? 0) >= ZEN)) return aboutHiddenFlag(host, link, extended);
  const fallsBack = flag ? "" : "; if the parameter falls back to N, the CPU lacks it";
  const inGuest = guestNeeds(host, module, extended);
  const byDefault =
    since(release, "6.18") === "no"
      ? "AVIC is off unless asked for on this kernel. "
      : "KVM was loaded without AVIC. ";
  return {
    about: link.name,
    says: `${byDefault}Switch it on${fallsBack}.${inGuest.says}`,
    commands: [...setParameter(host, "kvm_amd", "avic", "1"), ...inGuest.commands],
  };
}

/** avic_hardware_setup(): without the flag only force_avic switches AVIC on. */
function aboutHiddenFlag(host: Host, link: ChainLink, extended: boolean): Advice {
  const shown = extended ? "x2avic and not avic" : "no avic, though every Zen has it";
  const says = `The CPU's flags show ${shown}: the firmware hides it. Look there for a setting or an update.`;
  // Read in 6.1.192 to 7.3.4; not in 5.10.
  if (since(releaseOf(host), "6.1") !== "yes") return { about: link.name, says, commands: [] };
  return {
    about: link.name,
    says: `${says} force_avic takes it without the flag, at your own risk: it taints the kernel, and AMD's revision guides have errata for CPUs on which it was hidden.`,
    commands: [
      ...setParameter(host, "kvm_amd", "force_avic", "1"),
      ...setParameter(host, "kvm_amd", "avic", "1").slice(0, 1),
    ],
  };
}

/** What would inhibit AVIC again in a guest on this kernel. */
function guestNeeds(
  host: Host,
  module: Module,
  extended: boolean,
): { readonly says: string; readonly commands: readonly string[] } {
  const release = releaseOf(host);
  const cpu: string[] = [];
  const says: string[] = [];
  // APICV_INHIBIT_REASON_X2APIC: set for a guest with x2APIC until 6.0, which has x2AVIC and the hybrid of both.
  if (since(release, "6.0") === "no") {
    says.push(
      extended
        ? "This kernel does not use x2AVIC yet: AVIC stays off in a guest that sees x2APIC"
        : "AVIC of this kernel stays off in a guest that sees x2APIC",
    );
    cpu.push("-x2apic");
  }
  // APICV_INHIBIT_REASON_NESTED: for a guest that sees SVM until 5.19, then only while a nested guest runs.
  if (since(release, "5.19") === "no" && known(module.parameters.get("nested") ?? ABSENT) === true) {
    says.push(`${says.length > 0 ? "so it does" : "AVIC of this kernel stays off"} in one that sees SVM`);
    cpu.push("-svm");
  }
  if (cpu.length === 0) return { says: "", commands: [] };
  return { says: ` ${says.join(", and ")}.`, commands: [`qemu: -cpu <model>,${cpu.join(",")}`] };
}
