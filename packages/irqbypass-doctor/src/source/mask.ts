/**
 * What a capture hides unless asked not to: whatever could tell whose host it is and is no evidence. Command
 * lines lose all but the words that matter, descriptors lose the paths of files.
 */

/** What stands where something was hidden. */
export const MASKED = "masked";

/** Words of the kernel's command line that bear on interrupts, and so stay. */
export const KERNEL_WORDS =
  /^(intremap|nointremap|intel_iommu|amd_iommu|amd_iommu_intr|iommu|iommu\.\w+|nox2apic|noapic|nolapic|disableapic|nosmp|maxcpus|acpi|pci|x2apic_phys|kvm[-_.a-z]*\.\w+|vfio[-_.a-z]*\.\w+|isolcpus|nohz_full)(=|$)/;

/** How words begin that show which boot loader wrote the line; what follows is hidden. */
export const BOOT_WORDS = /^(BOOT_IMAGE=|initrd=\\|ostree=)/;

/**
 * Parts of a VMM's words that bear on interrupts, and so stay. A word is parted at its commas; one that is JSON, within
 * its braces.
 */
export const VMM_PARTS =
  /^(--?(machine|M|accel|enable-kvm|global|device|irqchip|split-irqchip)|(accel=)?(kvm|tcg|xen)(:(kvm|tcg|xen))*|kernel[-_]irqchip=\w+|(driver=)?vfio-pci[-\w]*(\.x-no-kvm-msix?(=\w+)?)?|(property=)?x-no-kvm-msix?(=\w+)?|value=(on|off|yes|no|true|false|y|n)|(host=|sysfsdev=[/]sys[/]bus[/]pci[/]devices[/])([0-9a-f]+:)?[0-9a-f][0-9a-f]?:[0-9a-f][0-9a-f]?\.[0-7]|(--irqchip=)?(kernel|split|userspace)|"(driver|host|x-no-kvm-msix?)":("(vfio-pci[-\w]*|on|off|([0-9a-f]+:)?[0-9a-f][0-9a-f]?:[0-9a-f][0-9a-f]?\.[0-7])"|true|false))$/;

/** Its name shows that the processes are the whole host's. */
export const KERNEL_THREAD = "proc/2/comm";

/** Targets of descriptors that are evidence, and so stay. */
const DESCRIPTORS = /^(anon_inode:|\/dev\/(kvm|vfio\/|vhost-)|masked$)/;

/** Whether the file or directory at `path` is left out: its very name tells of a guest. */
export function isLeftOut(path: string): boolean {
  return /^(run|var\/log)\/libvirt(\/|$)/.test(path);
}

/** The text of `path` with the telling parts hidden. */
export function maskText(path: string, text: string): string {
  if (path === "proc/cmdline") return `${text.trim().split(/\s+/).map(maskKernelWord).join(" ")}\n`;
  if (/^proc\/\d+\/cmdline$/.test(path)) return maskVmm(text);
  if (path === "proc/self/mountinfo") return linesOf(text, / - proc /);
  if (/^proc\/(self\/)?mounts$/.test(path)) return linesOf(text, /^\S* \S+ proc /);
  if (path === "proc/self/status") return linesOf(text, /^(Gid|Groups|CapEff):/);
  if (path === KERNEL_THREAD && text === "kthreadd\n") return text;
  // A VMM may be told to call its process by the guest's name.
  if (/^proc\/\d+\/comm$/.test(path)) return `${MASKED}\n`;
  if (path === "etc/os-release") return linesOf(text, /^ID(_LIKE)?=/);
  if (path.startsWith("etc/modprobe.d/"))
    return linesOf(text.replaceAll("\\\n", " "), /^[ \t]*options[ \t]+kvm/);
  return text;
}

/** The target of the link at `path` with the telling parts hidden. */
export function maskLink(path: string, target: string): string {
  return /^proc\/\d+\/fd\/\d+$/.test(path) && !DESCRIPTORS.test(target) ? MASKED : target;
}

function maskKernelWord(word: string): string {
  if (KERNEL_WORDS.test(word)) return word;
  return `${BOOT_WORDS.exec(word)?.[0] ?? ""}${MASKED}`;
}

/** The program's name stays, and of each word the parts that matter. */
function maskVmm(text: string): string {
  const [program, ...words] = text.replace(/[\0\n]$/, "").split(/[\0\n]/);
  const masked = [program!.slice(program!.lastIndexOf("/") + 1), ...words.map(maskVmmWord)];
  return text === "" ? "" : masked.map((word) => `${word}\0`).join("");
}

function maskVmmWord(word: string): string {
  if (word === "") return "";
  if (word.startsWith("{") && word.endsWith("}")) {
    const parts = word.slice(1, -1).split(",");
    return `{${parts.map((part) => (VMM_PARTS.test(part) ? part : `"${MASKED}":0`)).join(",")}}`;
  }
  return word
    .split(",")
    .map((part) => {
      if (part === "" || VMM_PARTS.test(part)) return part;
      // Of libvirt it matters that it is libvirt.
      return part.includes("/libvirt/") ? `/libvirt/${MASKED}` : MASKED;
    })
    .join(",");
}

/** The lines that match. */
function linesOf(text: string, pattern: RegExp): string {
  const lines = text.split("\n").filter((line) => pattern.test(line));
  return lines.map((line) => `${line}\n`).join("");
}
