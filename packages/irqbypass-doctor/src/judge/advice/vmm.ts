/**
 * Advice about a VMM that keeps interrupts from KVM.
 */
import type { VmProcess } from "../../facts/processes.js";
import type { Advice, ChainLink } from "../report.js";

/** What to change on the command line of a VMM whose link is broken. */
export function aboutVmm(process: VmProcess, link: ChainLink): Advice {
  const { settings } = process;
  const who = process.name === null ? `Process ${process.pid}` : `VM ${process.name}`;
  const says = `${who}: ${link.says}. Change that, and start it again.`;
  const commands: string[] = [];
  if (process.vmFds === 0)
    commands.push(settings.libvirt ? "libvirt: <domain type='kvm'>" : "qemu: -accel kvm");
  else if (settings.irqchip?.value === "userspace")
    commands.push(
      settings.vmm === "crosvm"
        ? "crosvm: --irqchip kernel"
        : settings.libvirt
          ? "libvirt: <ioapic driver='kvm'/> in <features>"
          : "qemu: -machine kernel-irqchip=on",
    );
  for (const { taken, address } of settings.devices) {
    const words = taken.map((kind) => `x-no-kvm-${kind}`);
    if (words.length > 0)
      commands.push(`qemu: take ${words.join(", ")} off ${address ?? "the vfio-pci device"}`);
  }
  return { about: link.name, says, commands };
}
