/**
 * Advice about reasons that inhibit APICv or AVIC in a VM: a row for each, with what removes it.
 */
import type { Host } from "../../facts/host.js";
import type { VmProcess } from "../../facts/processes.js";
import type { TraceFacts } from "../../source/trace-facts.js";
import { causes, inhibitsOf } from "../inhibits.js";
import type { Advice, ChainLink } from "../report.js";

interface Remedy {
  readonly says: string;
  /** As QEMU takes it, and as libvirt does; undefined where neither has a setting for it. */
  readonly qemu?: string;
  readonly libvirt?: string;
}

const REMEDIES: Readonly<Record<string, Remedy>> = {
  PIT_REINJ: {
    says: "the VM reinjects lost ticks of an emulated PIT, which needs to see every end of interrupt: let it discard them, or leave the PIT out",
    qemu: "-global kvm-pit.lost_tick_policy=discard",
    libvirt: "<timer name='pit' tickpolicy='discard'/> in <clock>",
  },
  HYPERV: {
    says: "the guest uses Hyper-V's AutoEOI: tell it not to",
    qemu: "-cpu <model>,hv-avic=on",
    libvirt: "<avic state='on'/> in <hyperv>",
  },
  X2APIC: {
    says: "the guest sees x2APIC, which AVIC of this kernel cannot: hide it, or use Linux 6.0 or later",
    qemu: "-cpu <model>,-x2apic",
    libvirt: "<feature policy='disable' name='x2apic'/> in <cpu>",
  },
  NESTED: {
    says: "the guest sees SVM, and AVIC of this kernel cannot nest: hide it",
    qemu: "-cpu <model>,-svm",
    libvirt: "<feature policy='disable' name='svm'/> in <cpu>",
  },
  ABSENT: {
    says: "the VM has no local APIC in KVM",
    qemu: "-machine kernel-irqchip=on",
    libvirt: "<ioapic driver='kvm'/> in <features>",
  },
  APIC_ID_MODIFIED: {
    says: "the guest has changed the id of a local APIC, as kernels before 4.3 do at boot: use a newer guest; from Linux 6.3 on the host forgives it once the id is as it was",
  },
  APIC_BASE_MODIFIED: {
    says: "the guest has moved the base of a local APIC: see to it that it leaves that alone",
  },
  PHYSICAL_ID_ALIASED: {
    says: "several vCPUs answer to one APIC id: give the VM at most 255 vCPUs, or x2APIC",
  },
  LOGICAL_ID_ALIASED: {
    says: "several vCPUs answer to one logical APIC id: let the guest use physical destinations, or x2APIC",
  },
  PHYSICAL_ID_TOO_BIG: { says: "a vCPU's id is too big for AVIC: give the VM fewer vCPUs" },
  SEV: { says: "AVIC cannot be used in an encrypted VM (SEV)" },
  BLOCKIRQ: { says: "a debugger blocks the interrupts of a vCPU: detach it" },
  DISABLE: { says: "APICv/AVIC is off for the whole host: see module parameters" },
  DISABLED: { says: "APICv/AVIC is off for the whole host: see module parameters" },
};

/** About the inhibits of the VMs with devices that keep these from being posted. */
export function aboutInhibits(host: Host, link: ChainLink, trace: TraceFacts | undefined): Advice {
  const vms = host.processes.found.filter(
    (vm) => vm.vmFds > 0 && vm.held.length > 0 && inhibitsOf(vm, host, trace)?.effect === "off",
  );
  const reasons = new Set(vms.flatMap((vm) => causes(inhibitsOf(vm, host, trace)?.reasons ?? [])));
  const known = [...reasons].flatMap((reason) => {
    const remedy = REMEDIES[reason];
    return remedy === undefined ? [] : [{ reason, ...remedy }];
  });
  const says = known.map(({ reason, says: clause }) => `${reason}: ${clause}.`);
  if (says.length === 0) says.push("Remove the cause in the VM's configuration.");
  return {
    about: link.name,
    says: `While a reason is in force, AVIC is off in that VM and nothing is posted. ${says.join(" ")}`,
    commands: known.flatMap((remedy) => settingFor(vms[0], remedy)),
  };
}

/** The setting in the words of whoever made the VM. */
function settingFor(vm: VmProcess | undefined, { qemu, libvirt }: Remedy): string[] {
  if (vm?.settings.libvirt === true && libvirt !== undefined) return [`libvirt: ${libvirt}`];
  return vm?.settings.vmm === "qemu" && qemu !== undefined ? [`qemu: ${qemu}`] : [];
}
