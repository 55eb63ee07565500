/** A host with one of everything, beside another host with the same: what the refusal matrix calls things on. */
import {
  Epoll,
  Eventfd,
  Host,
  InterruptFile,
  type Irqfd,
  type Kind,
  Msix,
  Producer,
  Vcpu,
  VdpaDevice,
  VfioPciDevice,
  Vm,
} from "irqbypass";
import type { Kvm, KvmMachine, KvmVcpuThread, KvmVm } from "irqbypass/kvm";
import * as kvmEntry from "irqbypass/kvm";
import * as linuxEntry from "irqbypass/linux";
import { Consumer, Header, Vm as V } from "#src/host/layout.js";
import { platformHere } from "#src/host/platform-here.js";
import { createMemory, type WasmMemory } from "#src/host/wasm.js";
import { noRelay, SMALL, smallHost } from "../support/host.js";
import type { Holder } from "./holder.js";

/** The eight callbacks of the manager. */
export const CALLBACKS = [
  "producer stop",
  "consumer stop",
  "producer addConsumer",
  "consumer addProducer",
  "consumer start",
  "producer start",
  "consumer delProducer",
  "producer delConsumer",
] as const;
export type CallbackName = (typeof CALLBACKS)[number];

/** What a stage has beside the core. */
export type With = "core" | "linux" | "kvm";

const ROUTES = [
  { gsi: 24, msi: { vcpu: 0, vector: 0x41 } },
  { gsi: 25, msi: { vcpu: 0, vector: 0x42 } },
];

/** What each software VM and each guest has an ioeventfd for. */
export const DOORBELL = { address: 0x1000, length: 4, datamatch: 5, space: "pio" } as const;

/** What belongs to one host. */
export class Side {
  readonly host: Host;
  readonly second: Host;
  /** The thread that has what others wait for. */
  readonly holder: Host;
  readonly vm: Vm;
  /** None of its vCPUs is running. */
  readonly quiet: Vm;
  readonly eventfd: Eventfd;
  readonly spare: Eventfd;
  /** It watches {@link eventfd}, which is ready. */
  readonly epoll: Epoll;
  readonly lone: ReturnType<Vm["irqfd"]>;
  readonly bypassed: ReturnType<Vm["irqfd"]>;
  readonly doorbell: ReturnType<Vm["ioeventfd"]>;
  readonly route: ReturnType<Vm["routeMsi"]>;
  readonly msix: Msix;
  readonly producer: Producer;
  readonly registered: Producer;
  readonly device: VfioPciDevice;
  /** With INTx in use, which a device has instead of MSI-X. */
  readonly pin: VfioPciDevice;
  readonly vdpa: VdpaDevice;
  readonly closed: VdpaDevice;
  readonly session: ReturnType<VdpaDevice["open"]>;
  readonly vcpu: Vcpu;
  readonly bare: Vcpu;
  readonly line: Irqfd;
  readonly interruptFile: InterruptFile;
  readonly linux: linuxEntry.LinuxEventfd | undefined;
  /** What its owner has ended, and the handles of that. */
  readonly goneHost: Host;
  readonly goneEventfd: Eventfd;
  readonly goneLinux: linuxEntry.LinuxEventfd | undefined;
  readonly goneHandles: Readonly<
    Record<"epoll" | "eventfd" | "vm" | "vcpu" | "linux" | "irqfd", number | undefined>
  >;

  constructor(
    options: Parameters<typeof smallHost>[0],
    what: With,
    memory: WasmMemory,
    fileMemory: WasmMemory,
  ) {
    new Int32Array(memory.buffer).fill(0);
    const host = smallHost({ ...options, memory });
    this.host = host;
    const attached = () => Host.attach(host.handle, { kinds: options?.kinds ?? [], platform: host.platform });
    this.second = attached();
    this.holder = attached();
    this.goneHost = attached();
    this.goneEventfd = Eventfd.create(host);
    this.goneLinux = what === "core" ? undefined : linuxEntry.LinuxEventfd.create(host);
    const goneVm = new Vm(host);
    const goneEpoll = Epoll.create(host);
    this.goneHandles = {
      epoll: goneEpoll.handle,
      eventfd: this.goneEventfd.handle,
      linux: this.goneLinux?.handle,
      vm: goneVm.handle,
      vcpu: goneVm.vcpu(0).handle,
      irqfd: goneVm.irqfd(this.goneEventfd, 3).handle,
    };
    for (const one of [this.goneHost, this.goneEventfd, this.goneLinux, goneVm, goneEpoll])
      one?.[Symbol.dispose]();
    this.vm = new Vm(host, { vcpus: 2, pic: true });
    this.vm.setGsiRouting(ROUTES);
    this.quiet = new Vm(host);
    this.quiet.irqfd(Eventfd.create(host), 24);
    this.eventfd = Eventfd.create(host, { initial: 5 });
    this.spare = Eventfd.create(host);
    this.epoll = Epoll.create(host);
    this.epoll.add(this.eventfd);
    const [taken, waiting] = [Eventfd.create(host), Eventfd.create(host)];
    this.bypassed = this.vm.irqfd(taken, 24);
    this.lone = this.vm.irqfd(waiting, 25);
    this.doorbell = this.vm.ioeventfd(DOORBELL, this.eventfd);
    this.route = this.vm.routeMsi({ vcpu: 0, vector: 0x47 });
    this.msix = new Msix(this.vm, new VfioPciDevice(host, { msix: 2 }), () => Eventfd.create(host));
    this.msix.table.write(0, [0, 0, 0xe0, 0xfe, 0, 0, 0, 0, 0x48, 0, 0, 0, 0, 0, 0, 0]);
    this.producer = Producer.create(host);
    this.registered = Producer.create(host);
    this.registered.register(taken, 7);
    this.device = new VfioPciDevice(host, { msix: 4, intx: true });
    this.device.setTrigger("msix", 0, Eventfd.create(host));
    this.pin = new VfioPciDevice(host, { intx: true });
    this.pin.setTrigger("intx", 0, Eventfd.create(host));
    this.vdpa = new VdpaDevice(host, { queues: 2, ops: { getVqIrq: (queue) => queue } });
    this.session = this.vdpa.open();
    this.session.setVringCall(0, Eventfd.create(host));
    this.closed = new VdpaDevice(host, { queues: 1 });
    this.vcpu = Vcpu.open(host, this.vm.vcpu(1).handle);
    this.vcpu.kick();
    new Uint8Array(fileMemory.buffer).fill(0);
    this.interruptFile = InterruptFile.create(fileMemory, 0);
    this.interruptFile.kick();
    this.interruptFile.post(3);
    const bare = new Vm(host, { apic: false });
    this.bare = Vcpu.open(host, bare.vcpu(0).handle);
    this.line = bare.irqfd(Eventfd.create(host), 1, { resample: Eventfd.create(host) });
    this.linux = what === "core" ? undefined : linuxEntry.LinuxEventfd.create(host, { count: 3 });
  }
}

/** One stage at a time, on the same two memories: thousands of them would take more address space than there is. */
const MEMORIES = [0, 1].map(() => createMemory(Math.ceil(Host.bytes(SMALL) / 65536)));
/** The same for their interrupt files. */
const FILES = [0, 1].map(() => createMemory(1));

export class Stage {
  readonly own: Side;
  readonly foreign: Side;
  readonly kvm: Kvm | undefined;
  readonly goneKvm: Kvm | undefined;
  readonly machine: KvmMachine | undefined;
  readonly guest: KvmVm | undefined;
  private thread: KvmVcpuThread | undefined;
  readonly file: linuxEntry.EventfdFile | undefined;
  private hooks: Partial<Record<CallbackName, (() => void) | undefined>> = {};

  constructor(
    readonly what: With,
    mayBlock = true,
  ) {
    const hook = (name: CallbackName) => () => {
      const call = this.hooks[name];
      this.hooks[name] = undefined;
      call?.();
      return undefined;
    };
    const ends: Kind = {
      name: "ends",
      producer: {
        stop: hook("producer stop"),
        start: hook("producer start"),
        addConsumer: hook("producer addConsumer"),
        delConsumer: hook("producer delConsumer"),
      },
      consumer: {
        stop: hook("consumer stop"),
        start: hook("consumer start"),
        addProducer: hook("consumer addProducer"),
        delProducer: hook("consumer delProducer"),
      },
    };
    const kinds = [
      ends,
      ...(what === "core" ? [] : [linuxEntry.linux()]),
      ...(what === "kvm" ? [kvmEntry.kvm()] : []),
    ];
    const options = { kinds, platform: { ...platformHere(), mayBlock }, spawn: noRelay };
    this.own = new Side(options, what, MEMORIES[0]!, FILES[0]!);
    this.foreign = new Side(options, what, MEMORIES[1]!, FILES[1]!);
    if (what !== "core") this.file = linuxEntry.EventfdFile.create(linuxEntry.loadFfi(), { count: 1 });
    if (what !== "kvm") return;
    this.kvm = kvmEntry.Kvm.open();
    this.goneKvm = kvmEntry.Kvm.open();
    this.goneKvm[Symbol.dispose]();
    this.machine = new kvmEntry.KvmMachine(this.kvm);
    this.machine.createVcpu();
    this.machine.assignIoeventfd({ eventfd: this.file!.fd, ...DOORBELL });
    this.guest = new kvmEntry.KvmVm(this.own.host);
    this.guest.ioeventfd(DOORBELL, this.own.linux!);
    this.guest.setGsiRouting([{ gsi: 26, msi: { vcpu: 0, vector: 0x41 } }]);
  }

  /** The thread of the guest's vCPU, which runs when this returns. */
  running(): KvmVcpuThread {
    this.thread ??= this.guest!.machine.vcpus[0]!.start();
    const { thread } = this;
    while (thread.tid === 0 && !thread.left) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1);
    return thread;
  }

  /** Makes a call inside of one of the manager's callbacks. */
  inside(name: CallbackName, call: () => void): void {
    const { host } = this.own;
    const eventfd = Eventfd.create(host);
    const producer = Producer.create(host, "ends");
    const consumer = host.mutex.guard(() => {
      const record = host.pools.consumer.allocate();
      host.words.set(record + Consumer.kind, 1);
      return record;
    });
    host.manager.registerConsumer(consumer, eventfd.record);
    this.hooks = { [name]: call };
    producer.register(eventfd);
    producer.unregister();
    host.manager.unregisterConsumer(consumer);
    host.mutex.guard(() => host.pools.consumer.release(consumer));
    if (this.hooks[name] !== undefined) throw new Error(`the callback ${name} was never called`);
    producer.dispose();
    eventfd.close();
  }

  /** Makes a call while another thread has the host mutex, or that of the VM. */
  withMutexHeld<T>(which: "the host" | "the VM", holder: Holder, call: () => T): T {
    const { words, word, owner } = this.mutexOf(which);
    return holder.hold(words, word, owner, call);
  }

  /** The same of a call that does not wait: it is given back when this thread is in its event loop. */
  withMutexHeldAwhile<T>(which: "the host" | "the VM", call: () => T): T {
    const { words, word, owner } = this.mutexOf(which);
    Atomics.store(words, word, owner);
    setImmediate(() => Atomics.store(words, word, 0));
    return call();
  }

  private mutexOf(which: "the host" | "the VM") {
    const { host, holder, vm } = this.own;
    const { memory, byteOffset } = host.handle;
    const words = new Int32Array(memory.buffer, byteOffset);
    const word = which === "the host" ? Header.mutex : host.pools.vm.open(vm.handle) + V.mutex;
    return { words, word, owner: holder.thread.lockId << 1 };
  }

  /** Closes what the process would not get back otherwise. */
  async end(): Promise<void> {
    const threads = [this.guest?.machine, this.machine].flatMap((machine) =>
      (machine?.vcpus ?? []).map(({ thread }) => thread),
    );
    for (const thread of threads) thread?.requestStop();
    for (const thread of threads) await thread?.ended; // it has descriptors, too
    this.guest?.dispose();
    this.machine?.[Symbol.dispose]();
    this.kvm?.[Symbol.dispose]();
    this.file?.[Symbol.dispose]();
    for (const { linux } of [this.own, this.foreign]) linux?.close();
    for (const { host, second, holder } of [this.own, this.foreign]) {
      second.dispose();
      holder.dispose();
      // What is registered and assigned goes with the memory; its clock must not.
      (host as unknown as { supervision?: { end(): void } }).supervision?.end();
    }
  }
}
