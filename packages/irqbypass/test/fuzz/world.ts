/** What there is to call and to pass: hosts, and everything that calls have returned. */

import * as explore from "atomics-explorer";
import type { Platform } from "irqbypass";
import * as core from "irqbypass";
import * as kvm from "irqbypass/kvm";
import * as linux from "irqbypass/linux";
import { nodePlatform } from "#src/host/platform-node.js";
import { createMemory } from "#src/host/wasm.js";
import { noRelay, SMALL } from "../support/host.js";
import type { Random } from "./random.js";

/** Values of every entry point, by name. */
export const EXPORTS: Readonly<Record<string, unknown>> = { ...explore, ...kvm, ...linux, ...core };

/** What each world has at hand beside what calls return. */
export type WorldKind = "core" | "linux" | "kvm" | "explore";

const KEPT = 12;

/** Relay threads do not start: what they would do meanwhile could not be had again from the seed. */
const still: Platform = {
  ...nodePlatform()!,
  alive: () => true, // all of them are this one
};

export class World {
  readonly host: core.Host;
  readonly second: core.Host;
  readonly foreign: core.Host;
  /** Views that no call gets into its hands, so that nothing disposes them. */
  readonly auditors: readonly core.Host[];
  readonly handles: number[] = [];
  readonly hostHandles: core.HostHandle[];
  readonly memories: readonly unknown[];
  readonly ffi: unknown;
  /** A descriptor that may be acted upon. */
  descriptor = -1;
  private readonly instances = new Map<string, object[]>();

  constructor(
    readonly kind: WorldKind,
    private readonly classes: ReadonlySet<string>,
  ) {
    const real = kind === "linux" || kind === "kvm";
    const kinds = real ? [linux.linux(), ...(kind === "kvm" ? [kvm.kvm()] : [])] : [];
    const options = { kinds, platform: still, spawn: noRelay };
    this.host = core.Host.create({ ...options, capacity: { ...SMALL, thread: 8 } });
    this.second = core.Host.attach(this.host.handle, options);
    this.foreign = core.Host.create({ ...options, capacity: SMALL });
    this.auditors = [this.host, this.foreign].map(({ handle }) => core.Host.attach(handle, options));
    const disposed = core.Host.attach(this.host.handle, options);
    disposed.dispose();
    this.hostHandles = [this.host.handle, this.foreign.handle];
    this.memories = [this.host.handle.memory, createMemory(1), { buffer: new SharedArrayBuffer(4096) }];
    this.ffi = real ? linux.loadFfi() : undefined;
    for (const host of [this.host, this.host, this.host, this.second, this.foreign, disposed])
      this.keep(host);
    this.furnish(this.host);
    this.furnish(this.host);
    this.furnish(this.second);
    this.furnish(this.foreign);
    if (real) this.furnishReal();
  }

  private furnish(host: core.Host): void {
    const eventfds = [0, 1, 2].map(() => core.Eventfd.create(host));
    const vm = new core.Vm(host, { vcpus: 2 });
    vm.setGsiRouting([{ gsi: 3, msi: { vcpu: 0, vector: 0x41 } }]);
    const pc = new core.Vm(host, { pic: true });
    const producer = core.Producer.create(host);
    producer.register(eventfds[0]!);
    const vdpa = new core.VdpaDevice(host, { queues: 2 });
    const device = new core.VfioPciDevice(host, { msix: 4, intx: true });
    const session = vdpa.open();
    const made = [vm, producer, vdpa, device, session, vdpa.queue(0), device.vector("msix", 1), device.intx];
    const running = core.Vcpu.open(host, vm.vcpu(0).handle);
    const vcpus = [vm.vcpu(1), running, running.apic];
    const epoll = core.Epoll.create(host);
    epoll.add(eventfds[2]!);
    const irqfds = [vm.irqfd(eventfds[0]!, 3), vm.irqfd(eventfds[1]!, 4, { resample: eventfds[2]! })];
    const file = core.InterruptFile.create(new SharedArrayBuffer(64), 0);
    const doorbells = [
      vm.ioeventfd({ address: 3, length: 1, datamatch: 4 }, eventfds[1]!),
      vm.ioeventfd({ address: 0x1000, space: "pio" }, eventfds[2]!),
    ];
    const msix = new core.Msix(vm, new core.VfioPciDevice(host, { msix: 2 }), () =>
      core.Eventfd.create(host),
    );
    const routes = [vm.routeMsi({ vcpu: 1, vector: 0x42 }), vm.route(3)];
    const errors = [
      new core.IrqBypassError("EINVAL", "made for the fuzz"),
      new explore.ExplorerError("made for it"),
    ];
    // Second handles to the same things: what goes through the one, the other must notice. Devices as another thread has them.
    const beside = host === this.foreign ? host : this.second;
    const again = [
      core.Msix.open(vm, msix.handle, () => core.Eventfd.create(host)),
      core.VfioPciDevice.open(beside, device.handle),
      core.VdpaDevice.open(beside, vdpa.handle),
      core.Vm.open(host, vm.handle),
      core.Eventfd.open(host, eventfds[0]!.handle),
      core.Epoll.open(host, epoll.handle),
    ];
    for (const one of [
      epoll,
      ...again,
      ...eventfds,
      ...made,
      file,
      ...vcpus,
      ...irqfds,
      ...doorbells,
      ...routes,
      msix,
      vm.ioapic,
      pc,
      pc.pic,
      ...errors,
    ])
      this.keep(one);
  }

  private furnishReal(): void {
    const eventfd = linux.LinuxEventfd.create(this.host);
    this.descriptor = eventfd.fd;
    const file = linux.EventfdFile.create(linux.loadFfi());
    for (const one of [eventfd, linux.LinuxEventfd.create(this.foreign), file]) this.keep(one);
    if (this.kind !== "kvm") return;
    const opened = kvm.Kvm.open();
    const vm = new kvm.KvmVm(this.host);
    const machine = new kvm.KvmMachine(opened);
    const vcpu = machine.createVcpu();
    for (const one of [opened, vm, vm.ioapic, vm.pic, machine, vcpu, vcpu.start()]) this.keep(one);
  }

  /** Keeps an instance of a public class for later calls, and its handle. */
  keep(value: unknown): void {
    if (typeof value !== "object" || value === null) return;
    for (let type = value.constructor; type?.name && type !== Object; type = Object.getPrototypeOf(type)) {
      if (!this.classes.has(type.name)) continue;
      const list = this.instances.get(type.name) ?? [];
      if (list.length >= KEPT) list.splice(6 + (this.handles.length % 6), 1);
      list.push(value);
      this.instances.set(type.name, list);
    }
    try {
      const { handle } = value as { readonly handle?: unknown };
      if (typeof handle === "number") this.handles.push(handle);
      if (this.handles.length > 200) this.handles.splice(50, 100);
    } catch {
      // closed already
    }
  }

  instance(name: string, random: Random): object | undefined {
    const list = this.instances.get(name === "HostMemory" ? "Host" : name);
    return list === undefined ? undefined : random.of(list);
  }

  anyInstance(random: Random): object {
    return random.of(random.of([...this.instances.values()]));
  }

  /** Takes everything down; what is left then is a leak. */
  dispose(): void {
    const order = [
      "Vcpu",
      "VfioPciDevice",
      "VdpaDevice",
      "Producer",
      "Epoll",
      "Vm",
      "KvmVm",
      "KvmMachine",
      "Kvm",
      "EventfdFile",
    ];
    for (const name of [...order, "LinuxEventfd", "Eventfd"]) {
      for (const one of this.instances.get(name) ?? []) (one as Disposable)[Symbol.dispose]();
    }
  }
}
