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
/** One of {@link VERDICTS}. */
export type Verdict = (typeof VERDICTS)[number];

/** What was seen, and where. */
export interface Evidence {
  /** A path of the host with a leading slash, a tracepoint such as "kvm:kvm_pi_irte_update", or "you". */
  readonly source: string;
  /** What stands there, in short. */
  readonly says: string;
}

/** The links of the chain. */
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

/** Whether a link holds; unknown where what would tell cannot be read. */
export type LinkState = "holds" | "broken" | "unknown";

/**
 * One link of the chain that must hold from end to end before any interrupt of this host can be posted; the one that is
 * the VMM is a VM's own.
 */
export interface ChainLink {
  /** Which link it is. */
  readonly name: LinkName;
  /** Whether it holds. */
  readonly state: LinkState;
  /** One short clause. */
  readonly says: string;
  /** What that rests on. */
  readonly evidence: readonly Evidence[];
}

/** One interrupt of an assigned device. */
export interface VectorReport {
  /** Linux interrupt number; null for one that has none yet. */
  readonly irq: number | null;
  /** As its driver names it: "msix[3]", "intx", "vp-vdpa queue 0". */
  readonly label: string;
  /** What becomes of it. */
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
  /** What the verdict rests on. */
  readonly evidence: readonly Evidence[];
}

/** A device whose interrupts go, or should go, to a guest. */
export interface DeviceReport {
  /** PCI address with domain, "0000:3b:00.0", or the name that its driver uses where it is not PCI. */
  readonly address: string;
  /** The driver that has it: "vfio-pci". */
  readonly driver: string;
  /** The number of its IOMMU group; null where it has none. */
  readonly iommuGroup: string | null;
  /** A VM holds it, a process without one does, or nobody that could be seen. */
  readonly holder: "vm" | "other" | "unknown";
  /** How the device was tied to its VM, or why it could not be. */
  readonly tie: Evidence;
  /** The weakest of its vectors that count; for one without such, what its host allows. */
  readonly verdict: Verdict;
  /** Its interrupts. */
  readonly vectors: readonly VectorReport[];
  /** Sentences: what else the reader should know of it. */
  readonly notes: readonly string[];
}

/** An eventfd that a VMM holds. Equal ids are the same eventfd, in any process. */
export interface EventfdReport {
  /** The kernel's id; null on kernels that do not show one. */
  readonly id: number | null;
  /** The numbers of the VMM's descriptors that are this eventfd. */
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
  /** The VMM's process id. */
  readonly pid: number;
  /** The guest's name, where a known VMM put one on its command line. */
  readonly name: string | null;
  /** The VMM's program: "qemu-system-x86_64". */
  readonly program: string;
  /** Whether the VMM leaves interrupts to KVM, by its command line. */
  readonly vmm: ChainLink;
  /** How many kvm-vcpu descriptors it holds. */
  readonly vcpus: number;
  /** The eventfds that it holds. */
  readonly eventfds: readonly EventfdReport[];
  /** The devices that are tied to it. */
  readonly devices: readonly DeviceReport[];
  /** Sentences: what else the reader should know of it. */
  readonly notes: readonly string[];
}

/** What to do about one thing, most important first. */
export interface Advice {
  /** The link of the chain, or what else it is about. */
  readonly about: string;
  /** What to do, and why. */
  readonly says: string;
  /** Commands or parameters to use, one a line; may be empty. */
  readonly commands: readonly string[];
}

/** A source that was needed and could not be read, and how to get it. */
export interface MissingSource {
  /** Its path on the host, with a leading slash. */
  readonly path: string;
  /** Why it could not be read. */
  readonly why: string;
  /** The command that grants it, or the configuration option it needs. */
  readonly grant: string;
}

/** A host-wide counter of /proc/interrupts over the window, and what it does and does not prove. */
export interface CounterReport {
  /** The line of /proc/interrupts. */
  readonly label: "PIN" | "NPI" | "PIW" | "PMN";
  /** By how much it grew, over all CPUs; null where it is not counted. */
  readonly grew: number | null;
  /** Only interrupts of assigned devices can have made it grow. */
  readonly ofDevices: boolean;
  /**
   * An interrupt that is posted makes it grow wherever it finds its vCPU outside of the guest or halted: Intel's PIN and PIW.
   */
  readonly ofPosted: boolean;
  /** What that proves and what it does not. */
  readonly says: string;
}

/** Exit code of the command: 0 all posted or able, 1 something is not, 2 could not tell. */
export type ExitCode = 0 | 1 | 2;

/** What the doctor says of one host: what {@link inspectHost} returns. */
export interface Report {
  /** The format of this data; another number is another format. */
  readonly format: "irqbypass-doctor/1";
  /** One sentence, and the exit code that goes with it. */
  readonly verdict: {
    /** One sentence. */
    readonly says: string;
    /** The exit code of the command. */
    readonly exit: ExitCode;
  };
  /** What was looked at, and how long. */
  readonly measured: {
    /** When the second sample was taken, ISO 8601 in UTC. */
    readonly at: string;
    /** "this host", a mounted root, or a capture. */
    readonly from: string;
    /** The release, as uname has it. */
    readonly kernel: string;
    /** The machine, as uname has it: "x86_64". */
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
  /** The links of the host's chain; a VM's own is with the VM. */
  readonly chain: readonly ChainLink[];
  /** The virtual machines that were found. */
  readonly vms: readonly VmReport[];
  /** Devices on a VFIO or vDPA driver that no process could be tied to. */
  readonly unclaimed: readonly DeviceReport[];
  /** The host-wide counters. */
  readonly counters: readonly CounterReport[];
  /** What to do. */
  readonly advice: readonly Advice[];
  /** What could not be read. */
  readonly missing: readonly MissingSource[];
  /** Texts of unknown format, raw. */
  readonly strange: readonly {
    /** Where it was read, with a leading slash. */
    readonly path: string;
    /** What the parser stumbled over. */
    readonly problem: string;
    /** The text as it was, or its beginning. */
    readonly raw: string;
  }[];
  /** Sentences: what else the reader should know. */
  readonly notes: readonly string[];
}
