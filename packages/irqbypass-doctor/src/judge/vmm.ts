/**
 * The link that is a VM's VMM: whether it leaves the local APIC and the eventfds of interrupts to KVM.
 */
import type { VmProcess } from "../facts/processes.js";
import { link } from "./link.js";
import type { ChainLink, Evidence } from "./report.js";

const NAMES = {
  qemu: "QEMU",
  "cloud-hypervisor": "Cloud Hypervisor",
  crosvm: "crosvm",
  firecracker: "Firecracker",
  other: "the VMM",
} as const;

/** Examines the VMM of a process that holds a VM, or a device without one. */
export function vmmLink(process: VmProcess): ChainLink {
  const { settings } = process;
  const vmm = NAMES[settings.vmm];
  const seen = (says: string): Evidence => ({ source: process.commandLine, says });
  if (process.vmFds === 0) return withoutVm(process);
  const { irqchip } = settings;
  if (irqchip?.value === "userspace")
    return link(
      "VMM",
      "broken",
      `${irqchip.words}: the local APIC is in ${vmm}, and KVM has none to post to`,
      seen(irqchip.words),
    );
  const taking = settings.devices.filter(({ taken }) => taken.length > 0);
  if (taking.length > 0)
    return link(
      "VMM",
      "broken",
      `${taking[0]!.words}: ${vmm} takes interrupts of ${taking.map(({ address }) => address ?? "a device").join(", ")} itself`,
      ...taking.map(({ words }) => seen(words)),
    );
  if (settings.vmm === "other")
    return link("VMM", "unknown", `${process.program} is no VMM whose options are known`);
  if (!settings.whole) return link("VMM", "unknown", "its command line is masked or may not be read");
  if (irqchip?.value === "split")
    return link("VMM", "holds", `${irqchip.words}: the local APIC is in KVM`, seen(irqchip.words));
  return link("VMM", "holds", `${vmm}: no option keeps interrupts from KVM`, seen("no such option"));
}

/** What holds a device and no VM. */
function withoutVm({ settings, commandLine, program }: VmProcess): ChainLink {
  const { vmm, accelerators, whole } = settings;
  const source = commandLine;
  if (vmm !== "qemu") return link("VMM", "unknown", `${program} holds no VM`);
  if (accelerators !== undefined && !accelerators.value.includes("kvm"))
    return link("VMM", "broken", `QEMU runs without KVM: ${accelerators.words}`, {
      source,
      says: accelerators.words,
    });
  if (accelerators === undefined && whole)
    return link(
      "VMM",
      "broken",
      "QEMU runs without KVM: accel=kvm is missing, and tcg is what it takes then",
      {
        source,
        says: "no accel=kvm, -accel kvm or -enable-kvm",
      },
    );
  return link("VMM", "unknown", "QEMU holds no VM: it may be starting, or have fallen back to tcg");
}

/** Why the VMM keeps the interrupts of this kind of one device from KVM; undefined if it does not. */
export function takenByVmm(process: VmProcess, pci: string | null, label: string): Evidence | undefined {
  const kind = /^msix?\b/.exec(label)?.[0];
  const given = process.settings.devices.find(({ address }) => address !== null && address === pci);
  if (given === undefined || kind === undefined) return undefined;
  if (!given.taken.some((taken) => taken === kind)) return undefined;
  return { source: process.commandLine, says: `${given.words}: QEMU takes these interrupts itself` };
}
