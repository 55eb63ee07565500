/**
 * What a capture hides unless asked not to: whatever could tell whose host it is and is no evidence. Command
 * lines lose all but the words that matter, descriptors lose the paths of files.
 */

/** What stands where something was hidden. */
export const MASKED = "masked";

/** Words of the kernel's command line that bear on interrupts, and so stay. */
export const KERNEL_WORDS =
  /^(intremap|intel_iommu|amd_iommu|amd_iommu_intr|iommu|iommu\.\w+|nox2apic|noapic|nolapic|x2apic_phys|kvm[-_.a-z]*\.\w+|vfio[-_.a-z]*\.\w+|isolcpus|nohz_full)(=|$)/;

/** Targets of descriptors that are evidence, and so stay. */
const DESCRIPTORS = /^(anon_inode:|\/dev\/(kvm|vfio\/|vhost-)|masked$)/;

/** The text of `path` with the telling parts hidden. */
export function maskText(path: string, text: string): string {
  if (path === "proc/cmdline") {
    const words = text.trim().split(/\s+/);
    return `${words.map((word) => (KERNEL_WORDS.test(word) ? word : MASKED)).join(" ")}\n`;
  }
  if (/^proc\/\d+\/cmdline$/.test(path)) {
    const program = text.split("\0")[0] ?? "";
    return `${program.slice(program.lastIndexOf("/") + 1)}\0${MASKED}\0`;
  }
  // A VMM may be told to call its process by the guest's name.
  if (/^proc\/\d+\/comm$/.test(path)) return `${MASKED}\n`;
  return text;
}

/** The target of the link at `path` with the telling parts hidden. */
export function maskLink(path: string, target: string): string {
  return /^proc\/\d+\/fd\/\d+$/.test(path) && !DESCRIPTORS.test(target) ? MASKED : target;
}
