// What this entry point exports; written by npm run api; review what changes.
declare const KVM_CAP: {
    readonly KVM_CAP_IRQCHIP: 0;
    readonly KVM_CAP_USER_MEMORY: 3;
    readonly KVM_CAP_MAX_VCPUS: 66;
    readonly KVM_CAP_IRQ_ROUTING: 25;
    readonly KVM_CAP_IRQFD: 32;
    readonly KVM_CAP_IOEVENTFD: 36;
    readonly KVM_CAP_SIGNAL_MSI: 77;
    readonly KVM_CAP_IRQFD_RESAMPLE: 82;
    readonly KVM_CAP_SPLIT_IRQCHIP: 121;
};
type KvmCapability = keyof typeof KVM_CAP;
interface KvmOptions {
    readonly ffi?: Ffi;
    readonly path?: string;
    readonly arch?: string;
}
declare class Kvm extends Shown implements Disposable {
    readonly ffi: Ffi;
    readonly runBytes: number;
    readonly supportedCpuid: Uint8Array;
    private constructor();
    static open(options?: KvmOptions): Kvm;
    get fd(): number;
    extension(name: KvmCapability): number;
    [Symbol.dispose](): void;
}
declare function whyNoKvm(options?: KvmOptions): IrqBypassError | undefined;
interface KvmMsi {
    readonly addressLow: number;
    readonly addressHigh: number;
    readonly data: number;
}
type KvmRoute = KvmMsiRoute | KvmPinRoute;
interface KvmMsiRoute {
    readonly gsi: number;
    readonly msi: KvmMsi;
}
interface KvmPinRoute {
    readonly gsi: number;
    readonly chip: number;
    readonly pin: number;
}
interface KvmIoeventfd {
    readonly eventfd: number;
    readonly space: IoSpace;
    readonly address: number | bigint;
    readonly length: number;
    readonly datamatch?: number | bigint | undefined;
}
interface KvmIrqfd {
    readonly eventfd: number;
    readonly gsi: number;
    readonly resample?: number;
}
declare function msiTo(apicId: number, vector: number): KvmMsi;
declare function encodeMsi(msi: KvmMsi): Uint32Array;
declare const requestedVectors: (lapic: Uint8Array) => number[];
declare const inServiceVectors: (lapic: Uint8Array) => number[];
interface IoapicState {
    readonly irr: number;
    readonly pins: readonly bigint[];
}
declare class KvmVcpuThread extends Shown implements Disposable {
    readonly ended: Promise<IrqBypassError | undefined>;
    protected constructor();
    get left(): boolean;
    get tid(): number;
    requestStop(): void;
    stop(): Promise<void>;
    [Symbol.dispose](): void;
}
declare class KvmVcpu extends Shown implements Disposable {
    readonly index: number;
    protected constructor();
    get fd(): number;
    get thread(): KvmVcpuThread | undefined;
    setRegisters(registers: {
        rip: number;
        rsp: number;
        rflags: number;
    }): void;
    changeSpecialRegisters(change: (sregs: DataView) => void): void;
    lapic(): Uint8Array;
    setLapic(lapic: Uint8Array): void;
    start(): KvmVcpuThread;
    [Symbol.dispose](): void;
}
interface KvmMachineOptions {
    readonly memory?: WasmMemory;
    readonly pages?: number;
    readonly irqchip?: "full" | "split" | "none";
    readonly spawn?: Spawn | undefined;
}
declare class KvmMachine extends Shown implements Disposable {
    readonly ffi: Ffi;
    readonly memory: WasmMemory;
    constructor(kvm: Kvm, options?: KvmMachineOptions);
    get fd(): number;
    get vcpus(): readonly KvmVcpu[];
    createVcpu(): KvmVcpu;
    setGsiRouting(routes: readonly KvmRoute[]): void;
    assignIrqfd(irqfd: KvmIrqfd): void;
    deassignIrqfd(irqfd: KvmIrqfd): void;
    assignIoeventfd(ioeventfd: KvmIoeventfd): void;
    deassignIoeventfd(ioeventfd: KvmIoeventfd): void;
    signalMsi(msi: KvmMsi): boolean;
    setIrqLine(gsi: number, level: boolean): void;
    ioapic(): IoapicState;
    stop(): Promise<void>;
    [Symbol.dispose](): void;
}
declare function signalMsi(ffi: Ffi, vmFd: number, record: ArrayBufferView | number): boolean;
declare const FIRST_VECTOR = 32;
declare function guestPages(vcpus: number): number;
declare function bootGuest(machine: KvmMachine, vcpus: number, pic?: boolean): void;
interface GuestTables {
    readonly count: Uint32Array;
    readonly seen: Uint32Array;
    readonly avail: Uint32Array;
}
declare function guestTables(memory: WasmMemory, vcpu: number): GuestTables;
declare function kvm(): Kind;
declare class KvmVmRef extends Shown {
    protected constructor();
    get handle(): Handle<"kvm-vm">;
    get id(): number;
    get vcpus(): number;
    setGsiRouting(routes: readonly GsiRoute[]): void;
    routeMsi(msi: Msi): RouteRef;
    route(gsi: number): RouteRef;
    signalMsi(msi: Msi): number;
    setIrqLine(gsi: number, level: boolean): number;
    irqfd(eventfd: LinuxEventfd, gsi: number, options?: IrqfdOptions): Irqfd;
    deassign(eventfd: LinuxEventfd, gsi: number): boolean;
    ioeventfd(options: IoeventfdOptions, eventfd: LinuxEventfd): Ioeventfd;
    deassignIoeventfd(options: IoeventfdOptions, eventfd: LinuxEventfd): void;
    ioeventfds(): IoeventfdInfo[];
}
interface KvmVmOptions extends KvmOptions {
    readonly vcpus?: number;
    readonly pic?: boolean;
}
declare class KvmVm extends KvmVmRef implements Disposable {
    readonly machine: KvmMachine;
    constructor(host: BypassHost, options?: KvmVmOptions);
    static open(host: BypassHost, handle: Handle<"kvm-vm">): KvmVmRef;
    get memory(): WasmMemory;
    get ioapic(): IoApic;
    get pic(): Pic;
    reset(): void;
    tables(vcpu: number): GuestTables;
    start(): void;
    stop(): Promise<void>;
    dispose(): void;
    [Symbol.dispose](): void;
}
export { FIRST_VECTOR, Kvm, KvmMachine, KvmVm, bootGuest, encodeMsi, guestPages, guestTables, inServiceVectors, kvm, msiTo, requestedVectors, signalMsi, whyNoKvm };
export type { GuestTables, IoapicState, KvmCapability, KvmIoeventfd, KvmIrqfd, KvmMachineOptions, KvmMsi, KvmMsiRoute, KvmOptions, KvmPinRoute, KvmRoute, KvmVcpu, KvmVcpuThread, KvmVmOptions, KvmVmRef, Pic };
