// What this entry point exports; written by npm run api; review what changes.
interface AbortSignalLike {
    readonly aborted: boolean;
    addEventListener(type: "abort", listener: () => void, options?: {
        readonly once?: boolean;
    }): void;
    removeEventListener(type: "abort", listener: () => void): void;
}
declare const VERDICTS: readonly [
    "posted now",
    "delivered by the host just now",
    "paired",
    "probably posted",
    "able, not seen",
    "cannot be",
    "unknown"
];
type Verdict = (typeof VERDICTS)[number];
interface Evidence {
    readonly source: string;
    readonly says: string;
}
type LinkName = "architecture" | "kernel" | "CPU virtualisation" | "IOMMU" | "interrupt remapping" | "posting capability" | "GICv4" | "kernel command line" | "module parameters" | "APICv/AVIC" | "inhibit reasons" | "KVM's own conclusion" | "VMM";
type LinkState = "holds" | "broken" | "unknown";
interface ChainLink {
    readonly name: LinkName;
    readonly state: LinkState;
    readonly says: string;
    readonly evidence: readonly Evidence[];
}
interface VectorReport {
    readonly irq: number | null;
    readonly label: string;
    readonly verdict: Verdict;
    readonly byDesign: boolean;
    readonly able: "yes" | "no" | "unknown";
    readonly way: "around the host" | "through the host" | null;
    readonly handledByHost: number | null;
    readonly anew: boolean;
    readonly total: number | null;
    readonly evidence: readonly Evidence[];
}
interface DeviceReport {
    readonly address: string;
    readonly driver: string;
    readonly iommuGroup: string | null;
    readonly holder: "vm" | "other" | "unknown";
    readonly tie: Evidence;
    readonly verdict: Verdict;
    readonly vectors: readonly VectorReport[];
    readonly notes: readonly string[];
}
interface EventfdReport {
    readonly id: number | null;
    readonly fds: readonly number[];
    readonly count: string;
    readonly polled: boolean;
    readonly growing: boolean;
}
interface VmReport {
    readonly pid: number;
    readonly name: string | null;
    readonly program: string;
    readonly vmm: ChainLink;
    readonly vcpus: number;
    readonly eventfds: readonly EventfdReport[];
    readonly devices: readonly DeviceReport[];
    readonly notes: readonly string[];
}
interface Advice {
    readonly about: string;
    readonly says: string;
    readonly commands: readonly string[];
}
interface MissingSource {
    readonly path: string;
    readonly why: string;
    readonly grant: string;
}
interface CounterReport {
    readonly label: "PIN" | "NPI" | "PIW" | "PMN";
    readonly grew: number | null;
    readonly ofDevices: boolean;
    readonly ofPosted: boolean;
    readonly says: string;
}
type ExitCode = 0 | 1 | 2;
interface Report {
    readonly format: "irqbypass-doctor/1";
    readonly verdict: {
        readonly says: string;
        readonly exit: ExitCode;
    };
    readonly measured: {
        readonly at: string;
        readonly from: string;
        readonly kernel: string;
        readonly arch: string;
        readonly cpu: string;
        readonly seconds: number;
        readonly traced: number | null;
        readonly formats: readonly string[];
    };
    readonly chain: readonly ChainLink[];
    readonly vms: readonly VmReport[];
    readonly unclaimed: readonly DeviceReport[];
    readonly counters: readonly CounterReport[];
    readonly advice: readonly Advice[];
    readonly missing: readonly MissingSource[];
    readonly strange: readonly {
        readonly path: string;
        readonly problem: string;
        readonly raw: string;
    }[];
    readonly notes: readonly string[];
}
interface InspectOptions {
    readonly root?: string | undefined;
    readonly from?: string | undefined;
    readonly interval?: number | undefined;
    readonly pid?: number | undefined;
    readonly device?: string | undefined;
    readonly guestReceived?: boolean | undefined;
    readonly writeDevid?: boolean | undefined;
    readonly trace?: number | undefined;
    readonly traceFrom?: string | undefined;
    readonly signal?: AbortSignalLike | undefined;
}
declare const USES: readonly [
    "used",
    "idle",
    "suspicious",
    "unknown"
];
type Use = (typeof USES)[number];
interface WatchedInterrupt {
    readonly device: string;
    readonly pid: number | null;
    readonly vm: string | null;
    readonly irq: number | null;
    readonly label: string;
    readonly verdict: Use;
    readonly looks: number;
    readonly posted: number;
    readonly handled: number;
    readonly handledByHost: number | null;
    readonly handledAt: string | null;
    readonly evidence: readonly Evidence[];
}
interface WatchReport {
    readonly format: "irqbypass-watch/1";
    readonly verdict: {
        readonly says: string;
        readonly exit: ExitCode;
    };
    readonly measured: {
        readonly from: string;
        readonly kernel: string;
        readonly began: string;
        readonly ended: string;
        readonly seconds: number;
        readonly looks: number;
    };
    readonly interrupts: readonly WatchedInterrupt[];
    readonly notes: readonly string[];
}
interface TextOptions {
    readonly width: number;
    readonly colour: boolean;
}
declare function prometheusText(report: Report): string;
declare function textReport(report: Report, options: TextOptions): string;
type Container = "list" | "xarray";
type DoctorErrorCode = "EINVAL" | "ENOENT" | "E2BIG" | "EFBIG" | "ELOOP" | "EACCES" | "EBUSY" | "EEXIST" | "EIO" | "EINTR" | "ENOSYS" | "EPERM";
declare class DoctorError extends Error {
    readonly code: DoctorErrorCode;
    constructor(code: DoctorErrorCode, message: string, cause?: unknown);
}
declare function visible(text: string): string;
declare function visibleJson(value: unknown, indent?: number): string;
interface Growth {
    readonly nsPerIrqfd: number;
    readonly low: number;
    readonly high: number;
    readonly baseNs: number;
}
interface ConsumerRegistration {
    readonly state: "yes" | "no" | "unknown";
    readonly because: string;
}
type StormVerdict = "list" | "no list" | "cannot show" | "could not tell";
interface Spread {
    readonly samples: number;
    readonly p10: number;
    readonly median: number;
    readonly p90: number;
}
interface PairCost {
    readonly assign: Spread;
    readonly deassign: Spread;
}
interface StormStep {
    readonly count: number;
    readonly up: PairCost;
    readonly down: PairCost | null;
    readonly crowded: PairCost & {
        readonly irqfds: number;
    };
}
type StormEnd = "complete" | "time limit" | "interrupted";
interface Ratio {
    readonly median: number;
    readonly low: number;
    readonly high: number;
}
interface KeptIn {
    readonly is: Container | "no list" | "unknown";
    readonly because: string;
}
interface ComparedSide {
    readonly from: string;
    readonly at: string;
    readonly kernel: string;
    readonly container: KeptIn;
    readonly verdict: StormVerdict;
    readonly growth: Growth | null;
}
interface ComparedCost {
    readonly irqfds: number;
    readonly before: PairCost;
    readonly after: PairCost;
    readonly ratio: {
        readonly assign: Ratio;
        readonly deassign: Ratio;
    };
}
interface StormComparison {
    readonly format: "irqbypass-storm-comparison/1";
    readonly verdict: {
        readonly says: string;
        readonly exit: 0 | 1 | 2;
    };
    readonly before: ComparedSide;
    readonly after: ComparedSide;
    readonly host: readonly ComparedCost[];
    readonly notes: readonly string[];
}
interface StormReport {
    readonly format: "irqbypass-storm/1";
    readonly verdict: StormVerdict;
    readonly says: string;
    readonly exit: 0 | 1 | 2;
    readonly measured: {
        readonly at: string;
        readonly kernel: string;
        readonly tookMs: number;
    };
    readonly asked: number;
    readonly upTo: number;
    readonly ended: StormEnd;
    readonly registration: ConsumerRegistration;
    readonly steps: readonly StormStep[];
    readonly host: {
        readonly assign: Growth | null;
        readonly deassign: Growth | null;
    };
    readonly vm: {
        readonly assign: Growth | null;
        readonly deassign: Growth | null;
    };
    readonly notes: readonly string[];
}
declare function inspectHost(options?: InspectOptions): Promise<Report>;
export { DoctorError, VERDICTS, inspectHost, prometheusText, textReport, visible, visibleJson };
export type { AbortSignalLike, Advice, ChainLink, ComparedCost, ComparedSide, ConsumerRegistration, Container, CounterReport, DeviceReport, DoctorErrorCode, EventfdReport, Evidence, ExitCode, Growth, InspectOptions, KeptIn, LinkName, LinkState, MissingSource, PairCost, Ratio, Report, Spread, StormComparison, StormEnd, StormReport, StormStep, StormVerdict, TextOptions, Use, VectorReport, Verdict, VmReport, WatchReport, WatchedInterrupt };
