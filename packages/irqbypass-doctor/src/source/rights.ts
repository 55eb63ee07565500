/**
 * Which source needs which right: the one table that `--help`, the collector and the report print. Without a right the
 * doctor sees the rest, and says what is missing, and no more than that.
 *
 * Capabilities as the kernel asks for them: fs/proc/fd.c (a ptrace access check for links and fdinfo, and the directory's
 * own mode), fs/debugfs and fs/tracefs (directories of root's alone), debugfs_locked_down(). Each of the capabilities was
 * tried by itself, as a user with no other, on Linux 6.18: on /proc/PID, on debugfs as it is mounted, with and without
 * lockdown's say, and for a tracing instance with its events and its pipe. Not tried, for want of the hardware or of a
 * kernel: reading the tables below debugfs (files of mode 0444, by the kernel's source), and writing `devid` (0644).
 */
export interface Right {
  /** A path with `*` and PID in it, or an option. */
  readonly source: string;
  readonly needs: string;
  readonly tells: string;
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
    source: "/proc/interrupts, /proc/cmdline, /proc/cpuinfo, /sys/module, /sys/class/iommu, /sys/bus",
    needs: `nothing, or ${NEEDS.files} where the host keeps them from its users`,
    tells: "the chain, the devices and what the host handled",
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
  },
  {
    source: "/sys/kernel/debug/iommu, /sys/kernel/debug/irq",
    needs: `debugfs mounted, and ${NEEDS.tables} where only root may enter it; lockdown forbids irq to all`,
    tells: "what is posted now",
  },
  {
    source: "--write-devid (AMD)",
    needs: `debugfs mounted, ${NEEDS.devid}, and no lockdown`,
    tells: "the remapping table of each device",
  },
  {
    source: "--trace",
    needs: `tracefs mounted, ${NEEDS.trace}, and no lockdown for confidentiality`,
    tells: "how KVM sets up each interrupt, and what inhibits it",
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
    .map(({ source, needs, tells }) => `  ${source}\n      needs ${needs}; tells ${tells}\n`)
    .join("");
}
