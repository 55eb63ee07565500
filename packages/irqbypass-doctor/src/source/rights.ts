/**
 * Which source needs which right: the one table that `--help` and the collector print. Without a right the doctor sees
 * the rest, and says what is missing.
 *
 * Capabilities as the kernel asks for them: fs/proc/fd.c (a ptrace access check for links and fdinfo, and the directory's
 * own mode), fs/debugfs and fs/tracefs (directories of root's alone), drivers/iommu/amd/debugfs.c. Tried on Linux 6.18.
 */
export interface Right {
  /** A path with `*` and PID in it, or an option. */
  readonly source: string;
  readonly needs: string;
  readonly tells: string;
}

export const RIGHTS: readonly Right[] = [
  {
    source: "/proc/interrupts, /proc/cmdline, /proc/cpuinfo, /sys/module, /sys/class/iommu, /sys/bus",
    needs: "nothing",
    tells: "the chain, the devices and what the host handled",
  },
  {
    source: "/proc/PID/fd, /proc/PID/fdinfo of one's own processes",
    needs: "nothing",
    tells: "their VMs, devices and eventfds",
  },
  {
    source: "/proc/PID/fd, /proc/PID/fdinfo of other users' processes",
    needs: "CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH",
    tells: "their VMs, devices and eventfds",
  },
  {
    source: "/sys/kernel/debug/iommu, /sys/kernel/debug/irq",
    needs: "debugfs mounted, and CAP_DAC_READ_SEARCH where only root may enter it",
    tells: "what is posted now",
  },
  {
    source: "--write-devid (AMD)",
    needs: "debugfs mounted, and CAP_DAC_OVERRIDE",
    tells: "the remapping table of each device",
  },
  {
    source: "--trace",
    needs: "tracefs mounted, and CAP_DAC_OVERRIDE",
    tells: "how KVM sets up each interrupt, and what inhibits it",
  },
  { source: "--storm", needs: "to open /dev/kvm (often the group kvm)", tells: "what one more irqfd costs" },
];

/** The table as lines, without those of `options` where they are not to be had. */
export function rightsText(options: boolean): string {
  return RIGHTS.filter(({ source }) => options || !source.startsWith("--"))
    .map(({ source, needs, tells }) => `  ${source}\n      needs ${needs}; tells ${tells}\n`)
    .join("");
}
