/**
 * irqbypass: the Linux irqbypass subsystem for TypeScript, across threads in shared memory.
 *
 * A device signals an eventfd; a virtual machine listens to it. Once both ends are registered the interrupt goes
 * straight from the device's thread into the virtual CPU. Start with {@link Host.create}, then {@link Vm},
 * {@link Eventfd} and `vm.irqfd`; a device in another thread joins with {@link Host.attach}.
 *
 * @packageDocumentation
 */

export type { BypassHost } from "./bypass/bypass-host.js";
export type { ChangeWait } from "./bypass/changes.js";
export type { AddCallback, Callback, ConsumerOps, Kind, ProducerOps, Refusal } from "./bypass/kind.js";
export type { Path } from "./bypass/path.js";
export { Producer } from "./bypass/producer.js";
export { POLICIES, type Policy } from "./bypass/remapping.js";
export type { Intx } from "./device/intx.js";
export { IRQ_INDEXES, type IrqAction, type IrqIndex, type IrqInfo } from "./device/irq-index.js";
export type { IrqRange, IrqSet, IrqSetBool, IrqSetEventfd, IrqSetNone } from "./device/set-irqs.js";
export type { VfioPciOptions } from "./device/slim-vfio-pci.js";
export { VdpaDevice, type VdpaOpenOptions, type VdpaOptions } from "./device/vdpa.js";
export type { VdpaOps } from "./device/vdpa-ops.js";
export { type VdpaSession, VIRTIO_STATUS } from "./device/vdpa-session.js";
export { DeviceVector } from "./device/vector.js";
export { VfioPciDevice } from "./device/vfio-pci.js";
export type { Virtqueue } from "./device/virtqueue.js";
export { EventfdContext } from "./eventfd/context.js";
export { Epoll, type EpollAdd, type EpollTake, type EpollWait } from "./eventfd/epoll.js";
export { Eventfd, type EventfdOptions } from "./eventfd/eventfd.js";
export type { EventfdHost, EventfdKind } from "./eventfd/kind.js";
export { MAX_COUNT } from "./eventfd/signal.js";
export type { AbortSignalLike, WaitOptions } from "./host/argument.js";
export type { Capacity, Size } from "./host/capacity.js";
export type { FastPath } from "./host/compiled.js";
export { type ErrorCode, type ErrorDetails, IrqBypassError } from "./host/errors.js";
export type { Handle } from "./host/handle.js";
export type { PoolName } from "./host/layout.js";
export type { HostKind, HostMemory, MemoryOptions } from "./host/memory.js";
export type { OsThread, Platform, ThreadLocks, ThreadWorker, WatchableWorker } from "./host/platform.js";
export type { HostHandle, PlaceOptions } from "./host/reserve.js";
export type { Shown } from "./host/shown.js";
export type { Spawn, ThreadName } from "./host/spawn.js";
export type { WasmMemory } from "./host/wasm.js";
export type { Words } from "./host/words.js";
export type { Dropped } from "./posting/dropped.js";
export type { FileImports } from "./posting/imports.js";
export { type FileOptions, InterruptFile } from "./posting/interrupt-file.js";
export type { FileMemory, FileWake } from "./posting/place.js";
export { REASONS, type Reason, WORST_FIRST } from "./posting/reason.js";
export { type RunState, VCPU_STATES } from "./vm/apic/events.js";
export type { Ipi } from "./vm/apic/ipi.js";
export type { LocalApic } from "./vm/apic/local-apic.js";
export type { AttachedThread } from "./vm/attached.js";
export { type Audit, FINDING_KINDS, type Finding, type FindingKind } from "./vm/audit/finding.js";
export { Host } from "./vm/host.js";
export type { AttachOptions, HostOptions } from "./vm/host-options.js";
export type { Interrupt } from "./vm/interrupt.js";
export type { IoeventfdOptions, IoSpace } from "./vm/io-access.js";
export type { IoApic, Redirection } from "./vm/ioapic-registers.js";
export type { Ioeventfd, IoeventfdInfo } from "./vm/ioeventfd.js";
export { Irqfd } from "./vm/irqfd.js";
export type { MsixBytes } from "./vm/msix/bytes.js";
export type { MsixVm } from "./vm/msix/connect.js";
export { Msix } from "./vm/msix/msix.js";
export type { Pic } from "./vm/pic-ports.js";
export type { GsiRoute, IrqchipPin, Msi, MsiRoute, PinRoute, RawMsi, ShortMsi } from "./vm/route.js";
export type { RouteRef } from "./vm/route-ref.js";
export type { IrqfdOptions } from "./vm/slim-vm.js";
export { Vcpu } from "./vm/vcpu.js";
export { type Posting, VcpuRef } from "./vm/vcpu-ref.js";
export { Vm } from "./vm/vm.js";
export type { ApicOptions, VmOptions } from "./vm/vm-options.js";
export type { ArmOptions, Wake } from "./vm/waits.js";
