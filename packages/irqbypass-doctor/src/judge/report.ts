/**
 * The report: plain data, the same whether printed as text, as JSON or as metrics. `--json` prints exactly this.
 * Words are closed unions, so that scripts can switch on them.
 */

/** The verdicts on one interrupt, strongest evidence first; the words of every output. */
export const VERDICTS = [
  "posted now",
  "delivered by the host just now",
  "paired",
  "probably posted",
  "able, not seen",
  "cannot be",
  "unknown",
] as const;
export type Verdict = (typeof VERDICTS)[number];

/** What was seen, and where. */
export interface Evidence {
  /** A path of the host with a leading slash, a tracepoint such as "kvm:kvm_pi_irte_update", or "you". */
  readonly source: string;
  readonly says: string;
}

export type LinkName =
  | "architecture"
  | "kernel"
  | "CPU virtualisation"
  | "IOMMU"
  | "interrupt remapping"
  | "posting capability"
  | "GICv4"
  | "kernel command line"
  | "module parameters"
  | "APICv/AVIC"
  | "inhibit reasons"
  | "KVM's own conclusion"
  | "VMM";

export type LinkState = "holds" | "broken" | "unknown";

/**
 * One link of the chain that must hold from end to end before any interrupt of this host can be posted; the one that is
 * the VMM is a VM's own.
 */
export interface ChainLink {
  readonly name: LinkName;
  readonly state: LinkState;
  /** One short clause. */
  readonly says: string;
  readonly evidence: readonly Evidence[];
}

/** One interrupt of an assigned device. */
export interface VectorReport {
  /** Linux interrupt number; null for one that has none yet. */
  readonly irq: number | null;
  /** As its driver names it: "msix[3]", "intx", "vp-vdpa queue 0". */
  readonly label: string;
  readonly verdict: Verdict;
  /**
   * It is of a kind that never bypasses the host, and that is no fault: it counts neither for its device's verdict nor for
   * the exit code. The config interrupt of a vDPA device is one.
   */
  readonly byDesign: boolean;
  /** Whether host and VMM let it be posted. */
  readonly able: "yes" | "no" | "unknown";
  /** Where the next of it would go, as far as the window told; null where nothing tells. */
  readonly way: "around the host" | "through the host" | null;
  /**
   * Interrupts that the host's own handler took within the window, or since its counter began anew in it; null if one
   * sample lacks the line, or the line is shared.
   */
  readonly handledByHost: number | null;
  /** Its counter began anew within the window: it was freed and requested again. */
  readonly anew: boolean;
  /**
   * Interrupts that the host handled since it was requested, at the window's end; null where /sys/kernel/irq does not tell,
   * or the line is shared.
   */
  readonly total: number | null;
  readonly evidence: readonly Evidence[];
}

/** A device whose interrupts go, or should go, to a guest. */
export interface DeviceReport {
  /** PCI address with domain, "0000:3b:00.0", or the name that its driver uses where it is not PCI. */
  readonly address: string;
  readonly driver: string;
  readonly iommuGroup: string | null;
  /** A VM holds it, a process without one does, or nobody that could be seen. */
  readonly holder: "vm" | "other" | "unknown";
  /** How the device was tied to its VM, or why it could not be. */
  readonly tie: Evidence;
  /** The weakest of its vectors that count; for one without such, what its host allows. */
  readonly verdict: Verdict;
  readonly vectors: readonly VectorReport[];
  readonly notes: readonly string[];
}

/** An eventfd that a VMM holds. Equal ids are the same eventfd, in any process. */
export interface EventfdReport {
  /** The kernel's id; null on kernels that do not show one. */
  readonly id: number | null;
  readonly fds: readonly number[];
  /** Signals that nobody has consumed yet, as a decimal string (64 bits). */
  readonly count: string;
  /** It is in an epoll set of the VMM: the VMM reads it in user space. */
  readonly polled: boolean;
  /** The count was not zero and grew within the window: nobody consumes it. */
  readonly growing: boolean;
}

/** One virtual machine: a process that holds a kvm-vm descriptor. */
export interface VmReport {
  readonly pid: number;
  /** The guest's name, where a known VMM put one on its command line. */
  readonly name: string | null;
  /** The VMM's program: "qemu-system-x86_64". */
  readonly program: string;
  /** Whether the VMM leaves interrupts to KVM, by its command line. */
  readonly vmm: ChainLink;
  readonly vcpus: number;
  readonly eventfds: readonly EventfdReport[];
  readonly devices: readonly DeviceReport[];
  readonly notes: readonly string[];
}

/** What to do about one thing, most important first. */
export interface Advice {
  /** The link of the chain, or what else it is about. */
  readonly about: string;
  readonly says: string;
  /** Commands or parameters to use, one a line; may be empty. */
  readonly commands: readonly string[];
}

/** A source that was needed and could not be read, and how to get it. */
export interface MissingSource {
  readonly path: string;
  readonly why: string;
  /** The command that grants it, or the configuration option it needs. */
  readonly grant: string;
}

/** A host-wide counter of /proc/interrupts over the window, and what it does and does not prove. */
export interface CounterReport {
  readonly label: "PIN" | "NPI" | "PIW" | "PMN";
  readonly grew: number | null;
  /** Only interrupts of assigned devices can have made it grow. */
  readonly ofDevices: boolean;
  /**
   * An interrupt that is posted makes it grow wherever it finds its vCPU outside of the guest or halted: Intel's PIN and PIW.
   */
  readonly ofPosted: boolean;
  readonly says: string;
}

/** Exit code of the command: 0 all posted or able, 1 something is not, 2 could not tell. */
export type ExitCode = 0 | 1 | 2;

export interface Report {
  readonly format: "irqbypass-doctor/1";
  /** One sentence, and the exit code that goes with it. */
  readonly verdict: { readonly says: string; readonly exit: ExitCode };
  readonly measured: {
    /** When the second sample was taken, ISO 8601 in UTC. */
    readonly at: string;
    /** "this host", a mounted root, or a capture. */
    readonly from: string;
    readonly kernel: string;
    readonly arch: string;
    /** Model name of the CPU; "" where the kernel prints none. */
    readonly cpu: string;
    /** Seconds between the two samples. */
    readonly seconds: number;
    /** Seconds for which tracepoints were followed; null without --trace. */
    readonly traced: number | null;
    /** Which generations of the kernel's formats were matched. */
    readonly formats: readonly string[];
  };
  readonly chain: readonly ChainLink[];
  readonly vms: readonly VmReport[];
  /** Devices on a VFIO or vDPA driver that no process could be tied to. */
  readonly unclaimed: readonly DeviceReport[];
  readonly counters: readonly CounterReport[];
  readonly advice: readonly Advice[];
  readonly missing: readonly MissingSource[];
  /** Texts of unknown format, raw. */
  readonly strange: readonly { readonly path: string; readonly problem: string; readonly raw: string }[];
  readonly notes: readonly string[];
}
