// What this entry point exports; written by npm run api; review what changes.
declare const ERRNO: {
    readonly EPERM: 1;
    readonly ENOENT: 2;
    readonly EINTR: 4;
    readonly EIO: 5;
    readonly ENXIO: 6;
    readonly E2BIG: 7;
    readonly EBADF: 9;
    readonly EAGAIN: 11;
    readonly ENOMEM: 12;
    readonly EACCES: 13;
    readonly EFAULT: 14;
    readonly EBUSY: 16;
    readonly EEXIST: 17;
    readonly EXDEV: 18;
    readonly ENODEV: 19;
    readonly EINVAL: 22;
    readonly ENFILE: 23;
    readonly EMFILE: 24;
    readonly ENOTTY: 25;
    readonly ENOSPC: 28;
    readonly EDEADLK: 35;
    readonly ENOSYS: 38;
    readonly EOVERFLOW: 75;
    readonly EOPNOTSUPP: 95;
    readonly ENOBUFS: 105;
    readonly ETIMEDOUT: 110;
    readonly ESTALE: 116;
    readonly EUCLEAN: 117;
};
type ErrorCode = keyof typeof ERRNO;
interface ErrorDetails {
    readonly subject?: string;
    readonly side?: "producer" | "consumer";
    readonly reason?: string;
    readonly syscall?: string;
    readonly cause?: unknown;
}
declare class IrqBypassError extends Error {
    readonly code: ErrorCode;
    readonly errno: number;
    readonly subject: string | undefined;
    readonly side: "producer" | "consumer" | undefined;
    readonly reason: string | undefined;
    readonly syscall: string | undefined;
    constructor(code: ErrorCode, message: string, details?: ErrorDetails);
}
type PoolName = "thread" | "eventfd" | "producer" | "consumer" | "vm" | "vcpu" | "route" | "routing" | "injection" | "reference" | "ioeventfd" | "epoll" | "watch" | "device" | "node";
type Capacity = Readonly<Record<PoolName, number>>;
type Size = "small" | "medium" | "large";
interface WasmMemory {
    readonly buffer: ArrayBufferLike;
}
type FastPath = "wasm" | "typescript";
interface Words {
    load(word: number): number;
    store(word: number, value: number): void;
    or(word: number, value: number): number;
    and(word: number, value: number): number;
    add(word: number, value: number): number;
    exchange(word: number, value: number): number;
    compareExchange(word: number, expected: number, value: number): number;
    load64(word: number): bigint;
    store64(word: number, value: bigint): void;
    compareExchange64(word: number, expected: bigint, value: bigint): bigint;
    wait(word: number, expected: number, timeoutMs: number): "ok" | "not-equal" | "timed-out";
    waitAsync(word: number, expected: number, timeoutMs: number): Promise<"ok" | "not-equal" | "timed-out">;
    notify(word: number, count?: number): number;
    relax(): void;
    clock(): number;
    get(word: number): number;
    set(word: number, value: number): void;
    fill?(word: number, make: () => number): void;
}
interface OsThread {
    readonly pid: number;
    readonly tid: number;
    readonly startTime: number;
    readonly worker: number;
}
interface WatchableWorker {
    readonly threadId: number;
    once(event: "exit", listener: () => void): unknown;
    off(event: "exit", listener: () => void): unknown;
    terminate(): Promise<unknown>;
}
interface ThreadWorker {
    postMessage(message: unknown): void;
    readonly threadId?: number;
    unref?(): void;
    terminate?(): unknown;
    once?(event: "error" | "exit", listener: (value: unknown) => void): unknown;
    addEventListener?(event: "error", listener: (event: unknown) => void): unknown;
}
interface ThreadLocks {
    request(name: string, mode: "exclusive" | "shared", got: () => void): () => void;
    held(): Promise<readonly string[] | undefined>;
}
interface Platform {
    readonly name: string;
    readonly mayBlock: boolean;
    readonly cores: number;
    readonly clock?: () => number;
    readonly threadName?: string;
    readonly locks?: ThreadLocks;
    self(): OsThread;
    alive(thread: OsThread): boolean | undefined;
    readonly spawn?: (file: string, base: string) => ThreadWorker;
    messages(listener: (message: unknown) => void): () => void;
    leave(): void;
    isWorker(value: unknown): value is WatchableWorker;
    hold(): () => void;
    onExit(listener: (well: boolean) => void): () => void;
    every(ms: number, tick: () => void): () => void;
}
interface HostHandle {
    readonly memory: WasmMemory;
    readonly byteOffset: number;
}
interface PlaceOptions {
    readonly memory?: WasmMemory;
    readonly byteOffset?: number;
    readonly size?: Size;
    readonly capacity?: Partial<Capacity>;
}
declare abstract class Shown {
    toJSON(): object;
}
type ThreadName = "irqbypass/relay-worker" | "irqbypass/linux-relay-worker" | "irqbypass/kvm-vcpu-worker";
type Spawn = (name: ThreadName) => ThreadWorker;
interface AbortSignalLike {
    readonly aborted: boolean;
    readonly reason: unknown;
    throwIfAborted(): void;
    addEventListener(type: "abort", listener: () => void, options?: {
        readonly once?: boolean;
    }): void;
    removeEventListener(type: "abort", listener: () => void): void;
}
interface WaitOptions {
    readonly timeoutMs?: number;
    readonly signal?: AbortSignalLike;
}
interface HostKind {
    readonly name: string;
    readonly capable?: () => boolean;
}
interface MemoryOptions extends PlaceOptions {
    readonly platform?: Platform;
    readonly name?: string;
    readonly spawn?: Spawn;
    readonly repairs?: boolean;
    readonly spinUs?: number;
    readonly words?: (buffer: SharedArrayBuffer, byteOffset: number, length: number) => Words;
    readonly fastPath?: FastPath;
}
declare abstract class HostMemory extends Shown {
    readonly handle: HostHandle;
    readonly platform: Platform;
    readonly spawn: Spawn | undefined;
    readonly words: Words;
    protected constructor();
    get fastPath(): FastPath;
    static bytes(capacity?: Partial<Capacity>, size?: Size): number;
}
interface EventfdKind extends HostKind {
}
interface EventfdHost extends HostMemory {
}
declare const REASONS: readonly [
    "none",
    "no-producer",
    "no-consumer",
    "policy-off",
    "switched-off",
    "no-route",
    "several-routes",
    "not-msi",
    "delivery-mode",
    "multicast",
    "no-vcpu",
    "no-capability",
    "refused",
    "thread-died",
    "another-producer",
    "no-driver-ok",
    "no-irq",
    "masked",
    "no-pic",
    "relay-not-running",
    "thread-ended"
];
type Reason = Exclude<(typeof REASONS)[number], "none">;
declare const WORST_FIRST: readonly Reason[];
interface Refusal {
    readonly code: ErrorCode;
    readonly reason?: Reason;
}
type AddCallback = (memory: HostMemory, producer: number, consumer: number) => Refusal | undefined;
type Callback = (memory: HostMemory, producer: number, consumer: number) => void;
interface ProducerOps {
    readonly addConsumer?: AddCallback;
    readonly delConsumer?: Callback;
    readonly stop?: Callback;
    readonly start?: Callback;
}
interface ConsumerOps {
    readonly addProducer?: AddCallback;
    readonly delProducer?: Callback;
    readonly stop?: Callback;
    readonly start?: Callback;
}
interface Kind extends EventfdKind {
    readonly producer?: ProducerOps;
    readonly consumer?: ConsumerOps;
}
interface BypassHost extends EventfdHost {
}
interface ChangeWait extends WaitOptions {
}
type Path = "posted" | "injected" | "irqfd" | "relayed";
declare const opens: unique symbol;
type Handle<Of extends string> = number & {
    readonly [opens]?: Of;
};
declare abstract class EventfdContext extends Shown implements Disposable {
    readonly semaphore: boolean;
    protected constructor();
    get handle(): Handle<"eventfd">;
    get id(): number;
    get closed(): boolean;
    abstract write(value?: number | bigint): void;
    abstract signal(): void;
    abstract tryRead(): bigint | undefined;
    abstract read(options?: Pick<WaitOptions, "timeoutMs">): bigint | undefined;
    readAsync(options?: WaitOptions): Promise<bigint | undefined>;
    kick(): void;
    abstract get count(): bigint;
    close(): void;
    [Symbol.dispose](): void;
}
declare class Producer extends Shown implements Disposable {
    private constructor();
    static create(host: BypassHost, kind?: string): Producer;
    register(eventfd: EventfdContext, irq?: number): void;
    move(eventfd: EventfdContext): void;
    unregister(): void;
    signal(): void;
    get registered(): boolean;
    get path(): Path;
    get reason(): Reason | undefined;
    dispose(): void;
    [Symbol.dispose](): void;
}
declare const POLICIES: readonly [
    "off",
    "prefer",
    "require"
];
type Policy = (typeof POLICIES)[number];
declare const IRQ_INDEXES: readonly [
    "intx",
    "msi",
    "msix",
    "err",
    "req"
];
type IrqIndex = (typeof IRQ_INDEXES)[number];
declare const IRQ_ACTIONS: readonly [
    "mask",
    "unmask",
    "trigger"
];
type IrqAction = (typeof IRQ_ACTIONS)[number];
interface IrqInfo {
    readonly count: number;
    readonly eventfd: true;
    readonly maskable: boolean;
    readonly automasked: boolean;
    readonly noresize: boolean;
}
interface IrqRange {
    readonly index: IrqIndex;
    readonly start: number;
    readonly count: number;
    readonly action: IrqAction;
}
interface IrqSetNone extends IrqRange {
    readonly data: "none";
}
interface IrqSetBool extends IrqRange {
    readonly data: "bool";
    readonly values: readonly boolean[];
}
interface IrqSetEventfd extends IrqRange {
    readonly data: "eventfd";
    readonly eventfds: readonly (EventfdContext | null)[];
}
type IrqSet = IrqSetNone | IrqSetBool | IrqSetEventfd;
declare class Intx extends Shown {
    protected constructor();
    assert(): void;
    deassert(): void;
    get asserted(): boolean;
    get enabled(): boolean;
    get masked(): boolean;
    get disIntx(): boolean;
    set disIntx(on: boolean);
    poll(): void;
}
declare class DeviceVector extends Shown {
    readonly number: number;
    protected constructor();
    signal(): void;
    mask(): void;
    unmask(): void;
    reset(): void;
    get masked(): boolean;
    get pending(): boolean;
    get path(): Path | undefined;
    get reason(): Reason | undefined;
}
interface VfioPciOptions {
    readonly intx?: boolean;
    readonly msi?: number;
    readonly msix?: number;
    readonly pcie?: boolean;
    readonly dynamicMsix?: boolean;
    readonly hostInterrupts?: number;
    readonly kind?: string;
}
declare class SlimVfioPciDevice extends Shown implements Disposable {
    constructor(host: BypassHost, options?: VfioPciOptions);
    get handle(): Handle<"vfio-pci device">;
    setTrigger(index: "msi" | "msix", number: number, eventfd: EventfdContext | null): void;
    disable(index: "msi" | "msix"): void;
    vector(index: "msi" | "msix", number: number): DeviceVector;
    get functionMask(): boolean;
    set functionMask(on: boolean);
    pendingBits(index: "msi" | "msix"): Uint32Array;
    reset(): void;
    dispose(): void;
    [Symbol.dispose](): void;
}
interface VdpaOps {
    readonly getVqIrq?: (queue: number) => number;
    readonly reset?: () => void;
}
declare class Virtqueue extends Shown {
    readonly number: number;
    protected constructor();
    signal(): void;
    get path(): Path | undefined;
    get reason(): Reason | undefined;
}
declare const VIRTIO_STATUS: {
    readonly acknowledge: 1;
    readonly driver: 2;
    readonly driverOk: 4;
    readonly featuresOk: 8;
    readonly needsReset: 64;
    readonly failed: 128;
};
declare class VdpaSession extends Shown implements Disposable {
    protected constructor();
    get open(): boolean;
    get status(): number;
    setVringCall(queue: number, eventfd: EventfdContext | null): void;
    setConfigCall(eventfd: EventfdContext | null): void;
    setStatus(status: number): void;
    release(): void;
    [Symbol.dispose](): void;
}
interface VdpaOptions {
    readonly queues: number;
    readonly ops?: VdpaOps;
    readonly kind?: string;
}
interface VdpaOpenOptions {
    readonly ops?: VdpaOps;
}
declare class VdpaDevice extends Shown implements Disposable {
    constructor(host: BypassHost, options: VdpaOptions);
    static open(host: BypassHost, handle: Handle<"vdpa device">, options?: VdpaOpenOptions): VdpaDevice;
    get handle(): Handle<"vdpa device">;
    adopt(): void;
    open(): VdpaSession;
    get session(): VdpaSession | undefined;
    queue(number: number): Virtqueue;
    configChanged(): void;
    dispose(): void;
    [Symbol.dispose](): void;
}
declare class VfioPciDevice extends SlimVfioPciDevice {
    constructor(host: BypassHost, options?: VfioPciOptions);
    static open(host: BypassHost, handle: Handle<"vfio-pci device">): VfioPciDevice;
    adopt(): void;
    irqInfo(index: IrqIndex): IrqInfo;
    setIrqs(set: IrqSet): number;
    setTrigger(index: IrqIndex, number: number, eventfd: EventfdContext | null): void;
    mask(index: IrqIndex, number?: number): void;
    unmask(index: IrqIndex, number?: number): void;
    disable(index: IrqIndex): void;
    get intx(): Intx;
    reportError(): void;
    requestRelease(): void;
}
interface EpollAdd {
    readonly data?: number;
    readonly edge?: boolean;
}
interface EpollTake {
    readonly maxEvents?: number;
}
interface EpollWait extends WaitOptions, EpollTake {
}
declare class Epoll extends Shown implements Disposable {
    private constructor();
    static create(memory: EventfdHost): Epoll;
    static open(memory: EventfdHost, handle: Handle<"epoll">): Epoll;
    get handle(): Handle<"epoll">;
    get id(): number;
    get closed(): boolean;
    add(eventfd: EventfdContext, options?: EpollAdd): void;
    remove(eventfd: EventfdContext): void;
    tryWait(options?: EpollTake): number[];
    wait(options?: Omit<EpollWait, "signal">): number[];
    waitAsync(options?: EpollWait): Promise<number[]>;
    kick(): void;
    close(): void;
    [Symbol.dispose](): void;
}
interface EventfdOptions {
    readonly initial?: number;
    readonly semaphore?: boolean;
}
declare class Eventfd extends EventfdContext {
    static create(memory: HostMemory, options?: EventfdOptions): Eventfd;
    static open(memory: HostMemory, handle: Handle<"eventfd">): Eventfd;
    write(value?: number | bigint): void;
    signal(): void;
    tryRead(): bigint | undefined;
    read(options?: Pick<WaitOptions, "timeoutMs">): bigint | undefined;
    get count(): bigint;
}
declare const MAX_COUNT: bigint;
interface Dropped {
    readonly count: number;
    readonly reason: Reason;
}
type FileMemory = WasmMemory | SharedArrayBuffer;
type FileWake = "interrupt" | "event" | "kicked" | "timeout" | "suspended";
interface FileImports {
    readonly interrupt_file: {
        post(file: number, id: number): void;
        pending(file: number): number;
        harvest(file: number, into: number): number;
        block(file: number, timeoutNs: bigint): number;
        kick(file: number): void;
        suspend(file: number): void;
        resume(file: number): void;
        renotify(file: number): void;
    };
}
type FileOptions = Pick<MemoryOptions, "platform" | "words" | "fastPath">;
declare class InterruptFile extends Shown {
    readonly memory: FileMemory;
    readonly byteOffset: number;
    private constructor();
    static create(memory: FileMemory, byteOffset: number, options?: FileOptions): InterruptFile;
    static open(memory: FileMemory, byteOffset: number, options?: FileOptions): InterruptFile;
    get controlAddress(): number;
    get fastPath(): FastPath;
    post(id: number): void;
    pending(): boolean;
    harvest(into: Uint32Array | Int32Array): boolean;
    block(options?: Pick<WaitOptions, "timeoutMs">): FileWake;
    blockAsync(options?: WaitOptions): Promise<FileWake>;
    disarm(): void;
    kick(): void;
    suspend(): void;
    resume(): void;
    renotify(): void;
    imports(): FileImports;
}
declare const VCPU_STATES: readonly [
    "runnable",
    "uninitialized",
    "init-received"
];
type RunState = (typeof VCPU_STATES)[number];
interface Ipi {
    readonly to: number | "self" | "all" | "others";
    readonly vector?: number;
    readonly mode?: "fixed" | "lowest-priority" | "smi" | "nmi" | "init" | "start-up";
    readonly logical?: boolean;
}
declare class LocalApic extends Shown {
    protected constructor();
    read(offset: number): number;
    write(offset: number, value: number): void;
    readMsr(msr: number): bigint | undefined;
    writeMsr(msr: number, value: bigint | number): boolean;
    setBase(value: bigint | number): void;
    reset(): void;
    timerExpired(): boolean;
}
interface AttachedThread {
    readonly id: number;
    readonly name: string;
    readonly proof: "process" | "lock" | "none" | "lost";
    readonly has: readonly string[];
    readonly waitsFor: string | undefined;
    readonly waitsMs: number;
    readonly sinceMs: number;
}
declare const FINDING_KINDS: readonly [
    "header",
    "pool",
    "index",
    "dangling",
    "shared",
    "unreachable",
    "count",
    "list",
    "partner",
    "entry",
    "value",
    "pending",
    "lost",
    "waiting",
    "mutex",
    "in-flight",
    "orphan",
    "unfinished"
];
type FindingKind = (typeof FINDING_KINDS)[number];
interface Finding {
    readonly kind: FindingKind;
    readonly subject: string;
    readonly message: string;
}
interface Audit {
    readonly findings: readonly Finding[];
    readonly more: number;
    readonly left: readonly string[];
    readonly waiting: number;
    readonly live: Readonly<Record<PoolName, number>>;
}
interface HostOptions extends MemoryOptions {
    readonly kinds?: readonly Kind[];
}
interface AttachOptions extends Pick<HostOptions, "kinds" | "platform" | "name" | "spawn" | "repairs" | "words" | "fastPath"> {
}
interface Interrupt {
    readonly eventfd: number;
    readonly path: Path;
    readonly reason: Reason | undefined;
    readonly consumer: {
        readonly vm: number;
        readonly gsi: number;
    } | undefined;
    readonly producer: {
        readonly irq: number;
    } | undefined;
    readonly dropped: Dropped | undefined;
    readonly sinceMs: number;
}
declare class SlimHost extends HostMemory implements BypassHost, Disposable {
    protected constructor();
    static create(options?: HostOptions): SlimHost;
    static attach(handle: HostHandle, options?: AttachOptions): SlimHost;
    get bypass(): boolean;
    set bypass(on: boolean);
    whenFree<T>(call: () => T | PromiseLike<T>, options?: WaitOptions): Promise<T>;
    interrupts(): Interrupt[];
    provable(): Promise<boolean>;
    get threadId(): number;
    watch(worker: WatchableWorker): () => void;
    terminate(worker: WatchableWorker): Promise<void>;
    threadLost(id: number): boolean;
    dispose(): void;
    [Symbol.dispose](): void;
}
declare class Host extends SlimHost {
    static create(options?: HostOptions): Host;
    static attach(handle: HostHandle, options?: AttachOptions): Host;
    threads(): AttachedThread[];
    audit(): Audit;
}
type IoSpace = "mmio" | "pio";
interface IoeventfdOptions {
    readonly address: number | bigint;
    readonly length?: 0 | 1 | 2 | 4 | 8;
    readonly datamatch?: number | bigint;
    readonly space?: IoSpace;
}
interface Redirection {
    readonly vcpu: number;
    readonly vector: number;
    readonly level?: boolean;
    readonly masked?: boolean;
}
declare class IoApic extends Shown {
    protected constructor();
    read(register: number): number;
    write(register: number, value: number): void;
    load(offset: number, length?: number): number;
    store(offset: number, value: number, length?: number): void;
    redirect(pin: number, entry: Redirection): void;
    get lines(): number;
    get irr(): number;
}
interface IoeventfdInfo {
    readonly space: IoSpace;
    readonly address: bigint;
    readonly length: number;
    readonly datamatch: bigint | undefined;
    readonly eventfd: number;
}
declare class Ioeventfd extends Shown implements Disposable {
    protected constructor();
    get space(): IoSpace;
    get address(): bigint;
    get length(): number;
    get datamatch(): bigint | undefined;
    get eventfd(): number;
    dispose(): void;
    [Symbol.dispose](): void;
}
declare class Irqfd extends Shown implements Disposable {
    protected constructor();
    static open(host: BypassHost, handle: Handle<"irqfd">): Irqfd;
    get handle(): Handle<"irqfd">;
    get gsi(): number;
    get policy(): Policy;
    get path(): Path;
    get reason(): Reason | undefined;
    get reasons(): readonly Reason[];
    get level(): boolean | undefined;
    acknowledge(): void;
    bypassed(options?: ChangeWait): Promise<Path>;
    relayed(options?: ChangeWait): Promise<Reason>;
    dispose(): void;
    [Symbol.dispose](): void;
}
interface MsixBytes {
    readonly length: number;
    read(offset: number, length: number): Uint8Array;
    write(offset: number, bytes: ArrayLike<number>): void;
}
type Msi = ShortMsi | RawMsi;
interface ShortMsi {
    readonly vcpu: number;
    readonly vector: number;
}
interface RawMsi {
    readonly address: number;
    readonly addressHigh?: number;
    readonly data: number;
}
interface IrqchipPin {
    readonly chip: "pic-master" | "pic-slave" | "ioapic";
    readonly pin: number;
}
type GsiRoute = MsiRoute | PinRoute;
interface MsiRoute {
    readonly gsi: number;
    readonly msi: Msi;
}
interface PinRoute {
    readonly gsi: number;
    readonly irqchip: IrqchipPin;
}
declare class RouteRef extends Shown implements Disposable {
    readonly gsi: number;
    protected constructor();
    get msi(): RawMsi;
    change(msi: Msi): void;
    dispose(): void;
    [Symbol.dispose](): void;
}
interface MsixVm<E extends EventfdContext> {
    routeMsi(msi: Msi): RouteRef;
    irqfd(eventfd: E, gsi: number): Irqfd;
}
declare class Msix<E extends EventfdContext = EventfdContext> extends Shown implements Disposable {
    readonly table: MsixBytes;
    readonly pba: MsixBytes;
    constructor(vm: MsixVm<E>, device: VfioPciDevice, createEventfd: () => E);
    static open<E extends EventfdContext>(vm: MsixVm<E>, handle: Handle<"msix">, createEventfd: () => E): Msix<E>;
    get handle(): Handle<"msix">;
    get control(): number;
    set control(value: number);
    reset(): void;
    dispose(): void;
    [Symbol.dispose](): void;
}
declare class Pic extends Shown {
    protected constructor();
    read(port: number): number;
    write(port: number, value: number): void;
    state(chip: "pic-master" | "pic-slave"): Uint8Array;
}
interface Posting {
    readonly on: boolean;
    readonly sn: boolean;
    readonly nv: number;
    readonly ndst: number;
}
declare class VcpuRef extends Shown {
    protected constructor();
    get handle(): Handle<"vcpu">;
    get index(): number;
    kick(): void;
    inspect(): Posting;
    get onAddress(): number;
    get fileAddress(): number;
}
interface VmOptions {
    readonly vcpus?: number;
    readonly apic?: boolean | ApicOptions;
    readonly pic?: boolean;
}
interface ApicOptions {
    readonly ids?: readonly number[];
    readonly longIds?: boolean;
    readonly broadcastQuirk?: boolean;
    readonly vectorHashing?: boolean;
}
interface IrqfdOptions {
    readonly bypass?: Policy;
    readonly resample?: EventfdContext;
}
declare class SlimVm extends Shown implements Disposable {
    constructor(host: BypassHost, options?: VmOptions);
    static open(host: BypassHost, handle: Handle<"vm">): SlimVm;
    get handle(): Handle<"vm">;
    get id(): number;
    get vcpus(): number;
    vcpu(index: number): VcpuRef;
    setGsiRouting(routes: readonly GsiRoute[]): void;
    irqfd(eventfd: EventfdContext, gsi: number, options?: IrqfdOptions): Irqfd;
    deassign(eventfd: EventfdContext, gsi: number): boolean;
    dispose(): void;
    [Symbol.dispose](): void;
}
type Wake = "interrupt" | "nmi" | "init" | "start-up" | "kicked" | "timeout";
interface ArmOptions {
    readonly ref?: boolean;
}
declare class SlimVcpu extends VcpuRef implements Disposable {
    protected constructor();
    static open(host: BypassHost, handle: Handle<"vcpu">): SlimVcpu;
    pending(): boolean;
    hasInterrupt(): boolean;
    wait(options?: Pick<WaitOptions, "timeoutMs">): Wake;
    waitAsync(options?: WaitOptions): Promise<Wake>;
    arm(callback: () => void, options?: ArmOptions): boolean;
    disarm(): boolean;
    acknowledge(): number | undefined;
    eoi(): void;
    get tpr(): number;
    set tpr(priority: number);
    get state(): RunState;
    set state(state: RunState);
    get startUpVector(): number;
    get ppr(): number;
    take(into: Uint32Array | Int32Array): boolean;
    put(): void;
    [Symbol.dispose](): void;
}
declare class Vcpu extends SlimVcpu {
    private constructor();
    static open(host: BypassHost, handle: Handle<"vcpu">): Vcpu;
    get apic(): LocalApic;
    sendIpi(ipi: Ipi): number;
}
declare class Vm extends SlimVm {
    constructor(host: BypassHost, options?: VmOptions);
    static open(host: BypassHost, handle: Handle<"vm">): Vm;
    get pic(): Pic;
    setIrqLine(gsi: number, level: boolean): number;
    signalMsi(msi: Msi): number;
    get ioapic(): IoApic;
    reset(): void;
    routeMsi(msi: Msi): RouteRef;
    route(gsi: number): RouteRef;
    ioeventfd(options: IoeventfdOptions, eventfd: EventfdContext): Ioeventfd;
    deassignIoeventfd(options: IoeventfdOptions, eventfd: EventfdContext): void;
    ioeventfds(): IoeventfdInfo[];
    write(space: IoSpace, address: number | bigint, length: number, value: number | bigint): boolean;
}
export { DeviceVector, Epoll, Eventfd, EventfdContext, FINDING_KINDS, Host, IRQ_INDEXES, InterruptFile, IrqBypassError, Irqfd, MAX_COUNT, Msix, POLICIES, Producer, REASONS, VCPU_STATES, VIRTIO_STATUS, Vcpu, VcpuRef, VdpaDevice, VfioPciDevice, Vm, WORST_FIRST };
export type { AbortSignalLike, AddCallback, ApicOptions, ArmOptions, AttachOptions, AttachedThread, Audit, BypassHost, Callback, Capacity, ChangeWait, ConsumerOps, Dropped, EpollAdd, EpollTake, EpollWait, ErrorCode, ErrorDetails, EventfdHost, EventfdKind, EventfdOptions, FastPath, FileImports, FileMemory, FileOptions, FileWake, Finding, FindingKind, GsiRoute, Handle, HostHandle, HostKind, HostMemory, HostOptions, Interrupt, Intx, IoApic, IoSpace, Ioeventfd, IoeventfdInfo, IoeventfdOptions, Ipi, IrqAction, IrqIndex, IrqInfo, IrqRange, IrqSet, IrqSetBool, IrqSetEventfd, IrqSetNone, IrqchipPin, IrqfdOptions, Kind, LocalApic, MemoryOptions, Msi, MsiRoute, MsixBytes, MsixVm, OsThread, Path, Pic, PinRoute, PlaceOptions, Platform, Policy, PoolName, Posting, ProducerOps, RawMsi, Reason, Redirection, Refusal, RouteRef, RunState, ShortMsi, Shown, Size, Spawn, ThreadLocks, ThreadName, ThreadWorker, VdpaOpenOptions, VdpaOps, VdpaOptions, VdpaSession, VfioPciOptions, Virtqueue, VmOptions, WaitOptions, Wake, WasmMemory, WatchableWorker, Words };
