/** What the refusal matrix needs to know of each public call: on what it is made, with what it succeeds, and how its object ends. */

import { Worker } from "node:worker_threads";
import { type Epoll, type Eventfd, type Host, IrqBypassError, Vm } from "irqbypass";
import { encodeMsi, KvmMachine, type KvmVcpu, KvmVm } from "irqbypass/kvm";
import { loadFfi } from "irqbypass/linux";
import { platformHere } from "#src/host/platform-here.js";
import { createMemory } from "#src/host/wasm.js";
import { SharedWords } from "#src/host/words.js";
import { SMALL } from "../support/host.js";
import { DOORBELL, type Side, type Stage } from "./stage.js";

type Receiver = (stage: Stage) => object;

/** What a method or an accessor of a class is called on. */
export const RECEIVERS: Readonly<Record<string, Receiver>> = {
  DeviceVector: ({ own }) => own.device.vector("msix", 0),
  Epoll: ({ own }) => own.epoll,
  Eventfd: ({ own }) => own.eventfd,
  EventfdContext: ({ own }) => own.eventfd,
  Host: ({ own }) => own.second,
  Intx: ({ own }) => own.pin.intx,
  IoApic: ({ own }) => own.vm.ioapic,
  Pic: ({ own }) => own.vm.pic,
  LocalApic: ({ own }) => own.vcpu.apic,
  Ioeventfd: ({ own }) => own.doorbell,
  HostMemory: ({ own }) => own.second,
  InterruptFile: ({ own }) => own.interruptFile,
  IrqBypassError: () => new IrqBypassError("EIO", "a sentence"),
  Irqfd: ({ own }) => own.lone,
  Producer: ({ own }) => own.producer,
  Msix: ({ own }) => own.msix,
  RouteRef: ({ own }) => own.route,
  Shown: ({ own }) => own.producer,
  Vcpu: ({ own }) => own.vcpu,
  VcpuRef: ({ own }) => own.vm.vcpu(0),
  VdpaDevice: ({ own }) => own.vdpa,
  VdpaSession: ({ own }) => own.session,
  VfioPciDevice: ({ own }) => own.device,
  Virtqueue: ({ own }) => own.vdpa.queue(0),
  Vm: ({ own }) => own.vm,
  LinuxEventfd: ({ own }) => own.linux!,
  EventfdFile: ({ file }) => file!,
  Kvm: ({ kvm }) => kvm!,
  KvmMachine: ({ machine }) => machine!,
  KvmVcpu: ({ machine }) => machine!.vcpus[0]!,
  KvmVcpuThread: (stage) => stage.running(),
  KvmVm: ({ guest }) => guest!,
  KvmVmRef: ({ own, guest }) => KvmVm.open(own.host, guest!.handle),
};

/** Where another one of the class is needed than {@link RECEIVERS} has. */
export const OTHER_RECEIVERS: Readonly<Record<string, Receiver>> = {
  "Vm.prototype.@@dispose": ({ own }) => own.quiet,
  "Vm.prototype.dispose": ({ own }) => own.quiet,
  "VfioPciDevice.prototype.mask": ({ own }) => own.pin,
  "VfioPciDevice.prototype.unmask": ({ own }) => own.pin,
  "Irqfd.prototype.acknowledge": ({ own }) => own.line,
  "Irqfd.prototype.bypassed": ({ own }) => own.bypassed,
  "Producer.prototype.move": ({ own }) => own.registered,
  "Producer.prototype.signal": ({ own }) => own.registered,
  "Producer.prototype.unregister": ({ own }) => own.registered,
  "Vcpu.prototype.take": ({ own }) => own.bare,
  "VdpaDevice.prototype.open": ({ own }) => own.closed,
  "KvmVcpu.prototype.start": ({ guest }) => guest!.machine.vcpus[0]!,
};

/** How an object of a class ends, by its own call or by that of another. */
export const ENDS: Readonly<Record<string, (stage: Stage, receiver: object) => void>> = {
  DeviceVector: ({ own }) => own.device.dispose(),
  Epoll: (_, one) => (one as Epoll).close(),
  Eventfd: (_, one) => (one as Eventfd).close(),
  EventfdContext: (_, one) => (one as Eventfd).close(),
  Host: (_, one) => (one as Host).dispose(),
  HostMemory: (_, one) => (one as Host).dispose(),
  Intx: ({ own }) => own.pin.dispose(),
  IoApic: ({ own }) => endVm(own),
  Pic: ({ own }) => endVm(own),
  LocalApic: ({ own }) => endVm(own),
  Ioeventfd: (_, one) => (one as Disposable)[Symbol.dispose](),
  Irqfd: (_, one) => (one as Disposable)[Symbol.dispose](),
  Producer: (_, one) => (one as Disposable)[Symbol.dispose](),
  Msix: (_, one) => (one as Disposable)[Symbol.dispose](),
  RouteRef: (_, one) => (one as Disposable)[Symbol.dispose](),
  Vcpu: ({ own }, one) => {
    (one as Disposable)[Symbol.dispose]();
    if (one === own.vcpu) endVm(own);
  },
  VcpuRef: ({ own }) => endVm(own),
  VdpaDevice: (_, one) => (one as Disposable)[Symbol.dispose](),
  VdpaSession: ({ own }) => own.vdpa.dispose(),
  VfioPciDevice: (_, one) => (one as Disposable)[Symbol.dispose](),
  Virtqueue: ({ own }) => own.vdpa.dispose(),
  Vm: ({ own }, one) => (one === own.vm ? endVm(own) : (one as Vm).dispose()),
  LinuxEventfd: (_, one) => (one as Disposable)[Symbol.dispose](),
  EventfdFile: (_, one) => (one as Disposable)[Symbol.dispose](),
  Kvm: (_, one) => (one as Disposable)[Symbol.dispose](),
  KvmMachine: (_, one) => (one as Disposable)[Symbol.dispose](),
  KvmVcpu: ({ guest }, one) =>
    guest!.machine.vcpus.includes(one as KvmVcpu) ? guest!.dispose() : (one as KvmVcpu)[Symbol.dispose](),
  KvmVcpuThread: (_, one) => (one as Disposable)[Symbol.dispose](),
  KvmVm: (_, one) => (one as Disposable)[Symbol.dispose](),
  KvmVmRef: ({ guest }) => guest!.dispose(),
};

/** By another handle, and with the next VM in its record, to be met by whoever looks there. */
function endVm({ vcpu, vm, host }: Side): void {
  vcpu.put();
  Vm.open(host, vm.handle).dispose();
  new Vm(host, { vcpus: 2 });
}

/** What still has an answer when its object has ended: constants of it, and what says or makes that it has. */
export const ANSWERS: readonly (string | RegExp)[] = [
  /(@@dispose|dispose|close|put|release|deassert|unregister|toJSON)$/,
  /^get .*(memory|record|closed|semaphore|\.id|kernelId|registered|nonblocking|number|\.open|index)$/,
  /^get (RouteRef\.prototype\.gsi|Msix\.prototype\.(table|pba))$/,
  /(DeviceVector|Intx|Virtqueue)\.prototype/, // the device's own side, which goes on and signals nobody
  /VfioPciDevice\.prototype\.(vector|intx|functionMask|pendingBits|reportError|requestRelease)$/,
  /VdpaDevice\.prototype\.(queue|configChanged)$/,
  /^get Host(Memory)?\.prototype\.(base|compiled|fastPath|handle|kinds|manager|mutex|pending|platform|pools|repair|spawn|thread|words)$/,
  /KvmVcpuThread\.prototype/, // it says that it has left
  /Kvm(Vm|Machine)\.prototype\.(stop|tables|machine|ffi|vcpus)$/,
  /^get Kvm(Vcpu)?\.prototype\.(ffi|runBytes|supportedCpuid|fd|thread)$/,
];

const trigger = (index: string, data: object) => ({ index, start: 0, count: 1, action: "trigger", ...data });
const NOW = { timeoutMs: 1000 };
const REGISTERS = { rip: 0x1000, rsp: 0x1000, rflags: 2 };
const message = { addressLow: 0xfee00000, addressHigh: 0, data: 0x41 };
let worker: Worker | undefined;

/** A thread that has nothing to do with any host. */
function stranger(): Worker {
  worker ??= new Worker("setInterval(() => {}, 1e6)", { eval: true });
  worker.unref();
  return worker;
}

/** What a guest's calls are given, by whoever made it and by whoever opened it. */
const GUEST: Readonly<Record<string, (stage: Stage) => readonly unknown[]>> = {
  setIrqLine: () => [3, true],
  deassign: ({ own }) => [own.linux!, 24],
  route: () => [26],
  routeMsi: () => [{ vcpu: 0, vector: 0x45 }],
  signalMsi: () => [{ address: 0xfee00000, addressHigh: 0, data: 0x46 }],
  deassignIoeventfd: ({ own }) => [DOORBELL, own.linux!],
  ioeventfd: ({ own }) => [{ ...DOORBELL, address: 0x2000, length: 2 }, own.linux!],
  irqfd: ({ own }) => [own.linux!, 24, { bypass: "prefer" }],
  setGsiRouting: () => [[{ gsi: 24, msi: { vcpu: 0, vector: 0x41 } }]],
};

/** Arguments with which a call succeeds; none where it is not here. */
export const GIVEN: Readonly<Record<string, (stage: Stage) => readonly unknown[]>> = {
  "Epoll.create": ({ own }) => [own.host],
  "Epoll.open": ({ own }) => [own.host, own.epoll.handle],
  "Epoll.prototype.add": ({ own }) => [own.spare, { data: 3, edge: true }],
  "Epoll.prototype.remove": ({ own }) => [own.eventfd],
  "Epoll.prototype.tryWait": () => [{ maxEvents: 4 }],
  "Epoll.prototype.wait": () => [{ ...NOW, maxEvents: 4 }],
  "Epoll.prototype.waitAsync": () => [{ ...NOW, maxEvents: 4 }],
  "Eventfd.create": ({ own }) => [own.host, { initial: 1, semaphore: false }],
  "Eventfd.open": ({ own }) => [own.host, own.eventfd.handle],
  "Host.attach": ({ own }) => [own.host.handle, { kinds: own.host.kinds.slice(1), repairs: true }],
  "Host.bytes": () => [{ eventfd: 5 }, "small"],
  "Host.create": () => [{ capacity: { ...SMALL }, byteOffset: 64, fastPath: "typescript" }],
  "InterruptFile.create": () => [
    createMemory(1),
    128,
    {
      fastPath: "typescript",
      platform: platformHere(),
      words: (buffer: SharedArrayBuffer, at: number, length: number) => new SharedWords(buffer, at, length),
    },
  ],
  "InterruptFile.open": ({ own }) => [own.host.handle.memory, own.vm.vcpu(0).fileAddress],
  "InterruptFile.prototype.block": () => [NOW],
  "InterruptFile.prototype.blockAsync": () => [NOW],
  "InterruptFile.prototype.harvest": () => [new Uint32Array(8)],
  "InterruptFile.prototype.post": () => [255],
  "Producer.create": ({ own }) => [own.host, "ends"],
  "Vcpu.open": ({ own }) => [own.host, own.vm.vcpu(0).handle],
  "Vm.open": ({ own }) => [own.host, own.vm.handle],
  "new Vm": ({ own }) => [
    own.host,
    {
      vcpus: 2,
      apic: { ids: [0, 256], longIds: true, broadcastQuirk: true, vectorHashing: true },
      pic: true,
    },
  ],
  "new VfioPciDevice": ({ own }) => [own.host, { msix: 2, intx: true, kind: "ends" }],
  "new VdpaDevice": ({ own }) => [own.host, { queues: 2, ops: { getVqIrq: () => 3 } }],
  "VfioPciDevice.open": ({ own }) => [own.host, own.device.handle],
  "VdpaDevice.open": ({ own }) => [own.host, own.vdpa.handle, { ops: { getVqIrq: () => 3 } }],
  "new IrqBypassError": () => ["EIO", "a sentence", { subject: "it" }],
  "Eventfd.prototype.read": () => [NOW],
  "Eventfd.prototype.readAsync": () => [NOW],
  "Eventfd.prototype.write": () => [3],
  "EventfdContext.prototype.read": () => [NOW],
  "EventfdContext.prototype.readAsync": () => [NOW],
  "EventfdContext.prototype.write": () => [3],
  "Host.prototype.watch": () => [stranger()],
  "Host.prototype.terminate": () => [new Worker("0", { eval: true })],
  "Host.prototype.threadLost": () => [9],
  "Host.prototype.whenFree": () => [() => 1, NOW],
  "IoApic.prototype.read": () => [0x10],
  "Pic.prototype.read": () => [0x21],
  "Pic.prototype.write": () => [0x21, 0xff],
  "Pic.prototype.state": () => ["pic-master"],
  "IoApic.prototype.write": () => [0x16, 0x31],
  "IoApic.prototype.load": () => [0x10, 4],
  "IoApic.prototype.store": () => [0x10, 0x31, 4],
  "IoApic.prototype.redirect": () => [3, { vcpu: 0, vector: 0x31, level: true, masked: false }],
  "LocalApic.prototype.read": () => [0x80],
  "LocalApic.prototype.write": () => [0x80, 0x20],
  "LocalApic.prototype.readMsr": () => [0x808],
  "LocalApic.prototype.writeMsr": () => [0x808, 0x20],
  "LocalApic.prototype.setBase": () => [0xfee00800n],
  "Irqfd.open": ({ own }) => [own.host, own.lone.handle],
  "Irqfd.prototype.bypassed": () => [NOW],
  "Irqfd.prototype.relayed": () => [NOW],
  "Producer.prototype.move": ({ own }) => [own.spare],
  "Producer.prototype.register": ({ own }) => [own.spare, 4],
  "Vcpu.prototype.sendIpi": () => [{ to: 0, vector: 0x41, mode: "fixed", logical: false }],
  "Vcpu.prototype.take": () => [new Uint32Array(8)],
  "Vcpu.prototype.wait": () => [NOW],
  "Vcpu.prototype.waitAsync": () => [NOW],
  "VdpaDevice.prototype.queue": () => [1],
  "VdpaSession.prototype.setConfigCall": ({ own }) => [own.spare],
  "VdpaSession.prototype.setStatus": () => [4],
  "VdpaSession.prototype.setVringCall": ({ own }) => [1, own.spare],
  "VfioPciDevice.prototype.disable": () => ["msix"],
  "VfioPciDevice.prototype.irqInfo": () => ["msix"],
  "VfioPciDevice.prototype.mask": () => ["intx"],
  "VfioPciDevice.prototype.unmask": () => ["intx"],
  "VfioPciDevice.prototype.pendingBits": () => ["msix"],
  "VfioPciDevice.prototype.setIrqs": ({ own }) => [
    trigger("msix", { data: "eventfd", eventfds: [own.spare] }),
  ],
  "VfioPciDevice.prototype.setTrigger": ({ own }) => ["msix", 1, own.spare],
  "VfioPciDevice.prototype.vector": () => ["msix", 2],
  "Vm.prototype.deassign": ({ own }) => [own.spare, 24],
  "Vm.prototype.deassignIoeventfd": ({ own }) => [DOORBELL, own.eventfd],
  "Vm.prototype.ioeventfd": ({ own }) => [{ ...DOORBELL, address: 0x2000, length: 2 }, own.spare],
  "Vm.prototype.write": () => ["pio", DOORBELL.address, DOORBELL.length, 5],
  "Vm.prototype.irqfd": ({ own }) => [own.spare, 24, { bypass: "prefer", resample: own.eventfd }],
  "new Msix": ({ own }) => [own.vm, own.device, () => own.spare],
  "Msix.open": ({ own }) => [own.vm, own.msix.handle, () => own.spare],
  "set Msix.prototype.control": () => [0x8000],
  "RouteRef.prototype.change": () => [{ address: 0xfee01000, addressHigh: 0, data: 0x48 }],
  "Vm.prototype.route": ({ own }) => [own.route.gsi],
  "Vm.prototype.routeMsi": () => [{ vcpu: 1, vector: 0x45 }],
  "Vm.prototype.setGsiRouting": () => [
    [
      { gsi: 24, msi: { vcpu: 1, vector: 0x43 } },
      { gsi: 5, irqchip: { chip: "ioapic", pin: 5 } },
      { gsi: 6, msi: { address: 0xfee00000, addressHigh: 0, data: 0x44 } },
    ],
  ],
  "Vm.prototype.setIrqLine": () => [5, true],
  "Vm.prototype.signalMsi": () => [{ address: 0xfee00000, addressHigh: 0, data: 0x41 }],
  "Vm.prototype.vcpu": () => [1],
  "set Host.prototype.bypass": () => [false],
  "set Intx.prototype.disIntx": () => [true],
  "set Vcpu.prototype.state": () => ["runnable"],
  "set Vcpu.prototype.tpr": () => [0x20],
  "Vcpu.prototype.arm": () => [() => {}, { ref: false }],
  "set VfioPciDevice.prototype.functionMask": () => [true],
  // irqbypass/linux
  eventfdInfo: ({ file }) => [file!.fd],
  "EventfdFile.create": () => [loadFfi(), { count: 1, semaphore: true, nonblocking: true }],
  "EventfdFile.dup": ({ file }) => [loadFfi(), file!.fd],
  "EventfdFile.prototype.write": () => [2],
  "LinuxEventfd.adopt": ({ own, file }) => [own.host, file!.fd],
  "LinuxEventfd.create": ({ own }) => [own.host, { count: 1, semaphore: false, nonblocking: true }],
  "LinuxEventfd.open": ({ own }) => [own.host, own.linux!.handle],
  "LinuxEventfd.prototype.read": () => [NOW],
  "LinuxEventfd.prototype.readAsync": () => [NOW],
  "LinuxEventfd.prototype.write": () => [2],
  // irqbypass/kvm
  bootGuest: ({ kvm }) => [new KvmMachine(kvm!), 1],
  encodeMsi: () => [message],
  guestPages: () => [2],
  guestTables: () => [createMemory(1), 1],
  inServiceVectors: () => [new Uint8Array(1024)],
  requestedVectors: () => [new Uint8Array(1024)],
  msiTo: () => [1, 0x41],
  signalMsi: ({ machine }) => [loadFfi(), machine!.fd, encodeMsi(message)],
  whyNoKvm: () => [{ path: "/dev/kvm" }],
  "Kvm.open": () => [{ path: "/dev/kvm" }],
  "new KvmMachine": ({ kvm }) => [kvm!, { pages: 1, irqchip: "full" }],
  "new KvmVm": ({ own }) => [own.host, { vcpus: 1 }],
  "Kvm.prototype.extension": () => ["KVM_CAP_IRQFD"],
  "KvmMachine.prototype.assignIrqfd": ({ file }) => [{ eventfd: file!.fd, gsi: 3 }],
  "KvmMachine.prototype.deassignIrqfd": ({ file }) => [{ eventfd: file!.fd, gsi: 3 }],
  "KvmMachine.prototype.assignIoeventfd": ({ file }) => [
    { eventfd: file!.fd, space: "mmio", address: 0x2000, length: 4 },
  ],
  "KvmMachine.prototype.deassignIoeventfd": ({ file }) => [{ eventfd: file!.fd, ...DOORBELL }],
  "KvmMachine.prototype.setGsiRouting": () => [
    [
      { gsi: 3, chip: 2, pin: 3 },
      { gsi: 24, msi: message },
    ],
  ],
  "KvmMachine.prototype.setIrqLine": () => [3, true],
  "KvmMachine.prototype.signalMsi": () => [message],
  "KvmVcpu.prototype.changeSpecialRegisters": () => [() => {}],
  "KvmVcpu.prototype.setLapic": ({ machine }) => [machine!.vcpus[0]!.lapic()],
  "KvmVcpu.prototype.setRegisters": () => [REGISTERS],
  ...Object.fromEntries(
    ["KvmVm", "KvmVmRef"].flatMap((name) =>
      Object.entries(GUEST).map(([call, given]) => [`${name}.prototype.${call}`, given]),
    ),
  ),
  "KvmVm.open": ({ own, guest }) => [own.host, guest!.handle],
  "KvmVm.prototype.tables": () => [0],
};
