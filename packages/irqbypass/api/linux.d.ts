// What this entry point exports; written by npm run api; review what changes.
interface Ffi {
    open(path: string, flags: number, mode: number): number;
    close(fd: number): number;
    fcntl(fd: number, command: number, argument: number): number;
    read(fd: number, buffer: ArrayBufferView): number;
    write(fd: number, buffer: ArrayBufferView): number;
    ioctl(fd: number, request: number, argument: number): number;
    ioctlBuffer(fd: number, request: number, buffer: ArrayBufferView): number;
    eventfd(count: number, flags: number): number;
    eventfdWrite(fd: number, value: number): number;
    epollCreate(flags: number): number;
    epollControl(fd: number, operation: number, target: number, event: ArrayBufferView | null): number;
    epollWait(fd: number, events: ArrayBufferView, count: number, timeoutMs: number): number;
    poll(fds: ArrayBufferView, count: number, timeoutMs: number): number;
    mmap(length: number, protection: number, flags: number, fd: number, offset: number): number;
    munmap(address: number, length: number): number;
    signalMask(how: number, set: ArrayBufferView | null, old: ArrayBufferView | null): number;
    syscall(number: number, ...parameters: readonly number[]): number;
    copyFrom(address: number, target: ArrayBufferView): void;
    addressOf(view: ArrayBufferView): number;
}
interface EventfdFileOptions {
    readonly count?: number;
    readonly semaphore?: boolean;
    readonly nonblocking?: boolean;
}
declare class EventfdFile extends Shown implements Disposable {
    readonly id: number;
    readonly semaphore: boolean;
    readonly nonblocking: boolean;
    private constructor();
    static create(ffi: Ffi, options?: EventfdFileOptions): EventfdFile;
    static dup(ffi: Ffi, fd: number): EventfdFile;
    get fd(): number;
    get count(): bigint;
    read(): bigint;
    write(value?: number | bigint): void;
    [Symbol.dispose](): void;
}
declare class LinuxEventfd extends EventfdContext {
    readonly kernelId: number;
    private constructor();
    static create(memory: HostMemory, options?: EventfdFileOptions): LinuxEventfd;
    static adopt(memory: HostMemory, fd: number): LinuxEventfd;
    static open(memory: HostMemory, handle: Handle<"eventfd">): LinuxEventfd;
    get fd(): number;
    write(value?: number | bigint): boolean;
    signal(): void;
    tryRead(): bigint | undefined;
    read(options?: Pick<WaitOptions, "timeoutMs">): bigint | undefined;
    kick(): void;
    get count(): bigint;
}
interface EventfdInfo {
    readonly id: number;
    readonly count: bigint;
    readonly semaphore: boolean;
    readonly nonblocking: boolean;
}
declare function eventfdInfo(fd: number): EventfdInfo;
interface LinuxKind extends Kind {
    readonly ffi: () => Ffi;
}
declare function linux(): LinuxKind;
interface FfiSource {
    readonly platform: string;
    readonly arch: string;
    readonly require: (name: string) => unknown;
}
declare function loadFfi(source?: FfiSource): Ffi;
export { EventfdFile, LinuxEventfd, eventfdInfo, linux, loadFfi };
export type { EventfdFileOptions, EventfdInfo, Ffi, FfiSource, LinuxKind };
