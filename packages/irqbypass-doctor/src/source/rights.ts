/**
 * Which source needs which right: the one table that `--help`, the collector and the report print. Without a right the
 * doctor sees the rest, and says what is missing, and no more than that.
 *
 * Capabilities as the kernel asks for them: fs/proc/fd.c (a ptrace access check for links and fdinfo, and the directory's
 * own mode), fs/debugfs and fs/tracefs (directories of root's alone), debugfs_locked_down(), which spares what is opened
 * for reading and of mode 0444 at most. Each of the capabilities was tried by itself, as a user with no other, on Linux 6.18:
 * on /proc/PID, on debugfs as it is mounted, and for a tracing instance with its events and its pipe. For want of an IOMMU
 * its files were not: others of debugfs stand in for them that have the same modes, 0444 as ir_translation_struct and irqtbl
 * (drivers/iommu/intel/debugfs.c, drivers/iommu/amd/debugfs.c), and 0644 as `devid` and as irq/irqs/N (kernel/irq/debugfs.c).
 */
export interface Right {
  /** A path with `*` and PID in it, or an option. */
  readonly source: string;
  readonly needs: string;
  readonly tells: string;
  /** What a run without it says in its place; undefined for what everybody may read. */
  readonly without?: string;
}

const ALL = "CAP_DAC_READ_SEARCH";
const WRITE = "CAP_DAC_OVERRIDE";

const NEEDS = {
  processes: `CAP_SYS_PTRACE and ${ALL}`,
  files: ALL,
  tables: ALL,
  devid: WRITE,
  trace: WRITE,
} as const;

export const RIGHTS: readonly Right[] = [
  {
    source: "/proc/interrupts, /proc/cmdline, /proc/cpuinfo, /sys/module, /sys/kernel/irq, /sys/bus",
    needs: `nothing, or ${NEEDS.files} where the host keeps them from its users`,
    tells: "the chain, the devices and what the host handled",
  },
  {
    source: "/sys/class/iommu (cap, ecap, features), /sys/kernel/iommu_groups",
    needs: "nothing",
    tells: "whether each IOMMU is able to remap and to post",
  },
  {
    source: "/proc/PID/fd, /proc/PID/fdinfo of one's own processes",
    needs: "nothing",
    tells: "their VMs, devices and eventfds",
  },
  {
    source: "/proc/PID/fd, /proc/PID/fdinfo of other users' processes",
    needs: NEEDS.processes,
    tells: "their VMs, devices and eventfds",
    without: "devices show, and who holds them is not known",
  },
  {
    source: "/sys/kernel/debug/iommu/intel/ir_translation_struct, /sys/kernel/debug/iommu/amd/irqtbl",
    needs: `debugfs mounted, and ${NEEDS.tables} where only root may enter it, in lockdown too`,
    tells: "what is posted now",
    without: '"able, not seen" where it may be posted',
  },
  {
    source: "/sys/kernel/debug/irq/irqs",
    needs: `debugfs mounted, ${NEEDS.tables} where only root may enter it, and no lockdown`,
    tells: "which entry of the table an interrupt has; on arm64, whether it is forwarded",
    without: "of a device with some entries posted, not which",
  },
  {
    source: "--write-devid (AMD)",
    needs: `debugfs mounted, ${NEEDS.devid}, and no lockdown`,
    tells: "the remapping table of each device",
    without: "that of the device which was selected last",
  },
  {
    source: "--trace",
    needs: `tracefs mounted, ${NEEDS.trace}, and no lockdown for confidentiality`,
    tells: "how KVM sets up each interrupt, and what inhibits it",
    without: "what --trace-from reads",
  },
  { source: "--storm", needs: "to open /dev/kvm (often the group kvm)", tells: "what one more irqfd costs" },
];

/** The least right that opens a source, in words: "CAP_DAC_OVERRIDE, or root", who has them all. */
export function rightFor(source: keyof typeof NEEDS): string {
  return `${NEEDS[source]}, or root`;
}

/** The table as lines, without those of `options` where they are not to be had. */
export function rightsText(options: boolean): string {
  return RIGHTS.filter(({ source }) => options || !source.startsWith("--"))
    .map(({ source, needs, tells, without }) => {
      const instead = without === undefined ? "" : `\n      without: ${without}`;
      return `  ${source}\n      needs ${needs}; tells ${tells}${instead}\n`;
    })
    .join("");
}
