/**
 * A real guest on a host: KVM's VM, with its irqfds registered as consumers.
 */

import type { BypassHost } from "../bypass/bypass-host.js";
import { announceChange } from "../bypass/changes.js";
import { refresh, requires } from "../bypass/remapping.js";
import { type OptionNames, readOptions, show } from "../host/argument.js";
import { IrqBypassError } from "../host/errors.js";
import { Consumer, Injection, Vm as V, VmFlag } from "../host/layout.js";
import { beginLoading, loadingWord } from "../host/loading.js";
import { checkHost } from "../host/memory.js";
import { Shown } from "../host/shown.js";
import type { WasmMemory } from "../host/wasm.js";
import type { LinuxEventfd } from "../linux/eventfd.js";
import { linuxKindOf } from "../linux/kind.js";
import { injected, Mode, modeOf, relayed, targetOf } from "../posting/irte.js";
import { assign, checkIrqfd } from "../vm/assignment.js";
import type { IoeventfdOptions } from "../vm/io-access.js";
import { IoBus } from "../vm/io-bus.js";
import {
  deassignMatching,
  type Ioeventfd,
  type IoeventfdInfo,
  listIoeventfds,
  makeIoeventfd,
} from "../vm/ioeventfd.js";
import { Irqfd } from "../vm/irqfd.js";
import { irqfdsOf } from "../vm/irqfd-list.js";
import { requiredError } from "../vm/reroute.js";
import { checkRoutes, defaultRoutes, type GsiRoute, type RouteWords } from "../vm/route.js";
import { IRQFD, IRQFD_TEXT, type IrqfdOptions } from "../vm/slim-vm.js";
import { lifeOf, type VmLife } from "../vm/vm-mutex.js";
import { disposeClaimed } from "../vm/vm-record.js";
import { bootGuest, type GuestTables, guestPages, guestTables } from "./guest.js";
import { checkLinux, kvmKindOf } from "./kind.js";
import { Kvm, type KvmOptions } from "./kvm.js";
import { KvmMachine } from "./machine.js";
import { byGsi, kvmRoute, type RoutesByGsi, same, whyNotInjected } from "./routes.js";

/** Options of a new guest. */
export interface KvmVmOptions extends KvmOptions {
  /** 1 (the default) to 240. */
  readonly vcpus?: number;
}

const OPTIONS: OptionNames<KvmVmOptions> = { vcpus: true, ffi: true, path: true, arch: true };

/**
 * A KVM guest that counts its interrupts. It belongs to the thread that made it; its interrupts may be signalled from
 * any thread. It takes Linux eventfds only: KVM cannot see shared ones.
 */
export class KvmVm extends Shown implements Disposable {
  /** The VM as KVM offers it. Use it to look, and leave its irqfds and routing to this object. */
  readonly machine: KvmMachine;
  private readonly host: BypassHost;
  private readonly life: VmLife;
  private readonly bus: IoBus;
  private readonly kind: number;
  /** GSI routes by GSI; KVM's in-kernel irqchip comes with the default ones. */
  private routes = byGsi(defaultRoutes());
  private disposed = false;

  /**
   * A new guest with its memory and its in-kernel irqchip, not running yet. Throws what /dev/kvm says (ENOENT, EACCES,
   * ...), EINVAL for a host without the kinds `linux()` and `kvm()`, ENOMEM.
   *
   * @example
   * ```ts
   * import { Host } from "irqbypass";
   * import { kvm, KvmVm } from "irqbypass/kvm";
   * import { linux, LinuxEventfd } from "irqbypass/linux";
   *
   * const host = Host.create({ kinds: [linux(), kvm()] });
   * using guest = new KvmVm(host);
   * guest.setGsiRouting([{ gsi: 24, msi: { vcpu: 0, vector: 0x41 } }]);
   * console.log(guest.irqfd(LinuxEventfd.create(host), 24).path); // irqfd
   * ```
   */
  constructor(host: BypassHost, options: KvmVmOptions = {}) {
    super();
    const { vcpus = 1, ...how } = readOptions(options, OPTIONS, "options such as { vcpus: 2 }, or none");
    checkHost(host);
    const pages = guestPages(vcpus);
    this.host = host;
    this.kind = kvmKindOf(host);
    this.life = host.mutex.guard(() => {
      const record = host.pools.vm.allocate();
      host.words.set(record + V.flags, VmFlag.kvm);
      host.words.set(record + V.owner, host.thread.record); // last: without an owner it is half made
      return lifeOf(host, record);
    });
    this.bus = new IoBus(host, this.life);
    try {
      this.machine = this.open(how, pages);
    } catch (error) {
      this.undo();
      throw error;
    }
    try {
      bootGuest(this.machine, vcpus);
    } catch (error) {
      this.machine[Symbol.dispose]();
      this.undo();
      throw error;
    }
  }

  /** Makes the machine; each descriptor is noted where whoever repairs after this thread looks for it. */
  private open(how: KvmOptions, pages: number): KvmMachine {
    const { host } = this;
    const { words, thread } = host;
    const { record } = this.life;
    // The thread has loaded its C library; another time would be one more in which it must not be ended.
    using kvm = Kvm.open({ ffi: linuxKindOf(host).kind.ffi(), ...how });
    thread.descriptor = kvm.fd;
    try {
      return new KvmMachine(
        kvm,
        { pages, spawn: host.spawn },
        {
          opened: (fd, vcpu) => words.set(record + (vcpu === undefined ? V.fd : V.vcpu + vcpu), fd + 1),
          loads() {
            beginLoading(host);
            return loadingWord(host);
          },
        },
      );
    } finally {
      thread.descriptor = -1;
    }
  }

  /** Takes the record back, of which nobody has heard. Under both mutexes, as any VM goes. */
  private undo(): void {
    const { host, life } = this;
    life.guard(() => host.mutex.guard(() => host.pools.vm.undo(life.record)));
  }

  /** A small number that no other VM of this host has while this one lives. It stays the same when this one is disposed. */
  get id(): number {
    return this.life.id;
  }

  /** The guest's memory; {@link guestTables} finds the counts in it, in any thread. */
  get memory(): WasmMemory {
    return this.machine.memory;
  }

  /** What the guest's handlers on a vCPU have noted, indexed by vector. Throws EINVAL for one that the guest does not have. */
  tables(vcpu: number): GuestTables {
    const count = this.machine.vcpus.length;
    if (!Number.isInteger(vcpu) || vcpu < 0 || vcpu >= count) {
      const has = count === 1 ? "vCPU 0 alone" : `vCPUs 0 to ${count - 1}`;
      throw new IrqBypassError("EINVAL", `VM ${this.id} has ${has}, not ${show(vcpu)}`);
    }
    return guestTables(this.machine.memory, vcpu);
  }

  /**
   * Runs every vCPU in a thread of its own. Throws EBUSY where one runs already, EMFILE where the threads would find too few
   * descriptors, and what the host's own `spawn` throws; none runs then.
   */
  start(): void {
    this.check();
    this.machine.start(`VM ${this.id}`);
  }

  /** Kicks the vCPUs out of the guest; resolves when their threads have ended, rejects with what ended one before. */
  stop(): Promise<void> {
    return this.machine.stop();
  }

  /**
   * Replaces the whole routing table, in KVM and for the injections of this host. When it has returned nothing uses an old
   * route. Throws what KVM says, EINVAL for a bad entry, and EOPNOTSUPP where a connected irqfd with bypass: "require"
   * could not be bypassed any more; the old table stays then.
   */
  setGsiRouting(routes: readonly GsiRoute[]): void {
    this.checkCall();
    const checkedRoutes = checkRoutes(routes, {
      ids: this.machine.vcpus.map(({ index }) => index),
      longIds: true,
    });
    // Under the VM's mutex to the end, so that no hang-up gives back a record that this goes on to change. What the grace
    // period in it waits for never takes this mutex: KVM's irqfds have no relay thread.
    if (this.life.guard(() => this.replaceRoutes(checkedRoutes))) announceChange(this.host.words);
  }

  /** Returns whether any irqfd's route changed. Under the VM's mutex. */
  private replaceRoutes(routes: readonly RouteWords[]): boolean {
    const { host } = this;
    const next = byGsi(routes);
    const changed = [...irqfdsOf(host, this.life.record)].filter(
      (irqfd) => !same(this.routes.get(this.gsiOf(irqfd)), next.get(this.gsiOf(irqfd))),
    );
    // All injections that the new routes take, before anything has changed: what is missing to those that the old ones give back.
    const injected = changed.filter((irqfd) => whyNotInjected(next.get(this.gsiOf(irqfd))) === undefined);
    const extra = this.takeInjections(
      injected.length - changed.filter((irqfd) => this.isInjected(irqfd)).length,
    );
    const parked: Parked[] = [];
    try {
      this.park(changed, next, parked);
      if (parked.length > 0) host.thread.quiesce(); // nobody injects by an old route any more
      this.machine.setGsiRouting(routes.map(kvmRoute));
    } catch (error) {
      for (const { irqfd, target } of parked) this.retarget(irqfd, target);
      host.mutex.guard(() => {
        for (const injection of extra.reverse()) host.pools.injection.undo(injection);
      });
      throw error;
    }
    this.routes = next;
    const free = [...extra];
    for (const { target } of parked)
      if (modeOf(target) === Mode.injected) free.push(this.injectionOf(target));
    for (const { irqfd } of parked) {
      const gsi = this.gsiOf(irqfd);
      const injection = whyNotInjected(next.get(gsi)) === undefined ? free.pop() : undefined;
      this.retarget(irqfd, this.resolve(gsi, injection));
    }
    host.mutex.guard(() => {
      for (const injection of free) host.pools.injection.release(injection);
    });
    return changed.length > 0;
  }

  /**
   * Sends irqfds through the eventfd while the two tables change: KVM itself takes either route, and never half of one. Adds
   * to `parked` what they came to before. Throws EOPNOTSUPP where one is connected and requires bypass.
   */
  private park(irqfds: readonly number[], next: RoutesByGsi, parked: Parked[]): void {
    const { host, life } = this;
    for (const irqfd of irqfds) {
      const gsi = this.gsiOf(irqfd);
      const reason = requires(host, irqfd) ? whyNotInjected(next.get(gsi)) : undefined;
      const target = this.retarget(irqfd, relayed(reason ?? "no-route"), reason === undefined);
      if (target === undefined) throw requiredError(host, life.record, gsi, reason ?? "no-route");
      parked.push({ irqfd, target });
    }
  }

  /** Injection records for the calling thread. Throws ENOMEM where there are not so many. */
  private takeInjections(count: number): number[] {
    const { mutex, pools, words, thread } = this.host;
    if (count <= 0) return [];
    return mutex.guard(() => {
      pools.injection.checkRoom(count);
      return Array.from({ length: count }, () => {
        const injection = pools.injection.allocate();
        words.set(injection + Injection.owner, thread.record);
        return injection;
      });
    });
  }

  private isInjected(irqfd: number): boolean {
    return modeOf(this.host.words.load(irqfd + Consumer.target)) === Mode.injected;
  }

  private injectionOf(target: number): number {
    return this.host.pools.injection.at(targetOf(target));
  }

  /** As `Vm.irqfd`, for Linux eventfds; the same KVM_IRQFD throws what KVM says. */
  irqfd(eventfd: LinuxEventfd, gsi: number, options: IrqfdOptions = {}): Irqfd {
    const { host, life, kind } = this;
    this.checkCall();
    const { bypass = "prefer", resample } = readOptions(options, IRQFD, IRQFD_TEXT);
    checkIrqfd(host, eventfd, gsi, bypass);
    if (resample !== undefined) checkIrqfd(host, resample, gsi, bypass);
    checkLinux(eventfd);
    if (resample !== undefined) checkLinux(resample);
    const assigned = assign(host, {
      life,
      eventfd: eventfd.record,
      gsi,
      policy: bypass,
      kind,
      resample: resample?.record ?? 0,
      resolve: () => this.resolve(gsi),
    });
    return new Irqfd(host, life.mutex, assigned);
  }

  /**
   * As `Vm.ioeventfd`, for Linux eventfds; KVM_IOEVENTFD throws what KVM says. From its return on KVM signals the eventfd at each
   * store of the guest that `options` describe: it exits to nobody, so there is no `write` here.
   */
  ioeventfd(options: IoeventfdOptions, eventfd: LinuxEventfd): Ioeventfd {
    this.checkCall();
    checkLinux(eventfd);
    return makeIoeventfd(this.host, this.life, this.bus, options, eventfd);
  }

  /** As `Vm.deassignIoeventfd`, ENOENT where there is none. When it has returned, no vCPU of the guest signals through it any more. */
  deassignIoeventfd(options: IoeventfdOptions, eventfd: LinuxEventfd): void {
    this.checkCall();
    checkLinux(eventfd);
    deassignMatching(this.host, this.life, options, eventfd);
  }

  /** As `Vm.ioeventfds`. */
  ioeventfds(): IoeventfdInfo[] {
    this.checkCall();
    return listIoeventfds(this.host, this.life);
  }

  /** Before a call that takes a mutex. */
  private checkCall(): void {
    this.host.checkCall();
    this.check();
  }

  /**
   * Ends the guest: kicks its vCPUs, blocking until they have left (well under a millisecond), deassigns every irqfd and ioeventfd and
   * closes the VM. Doing it again does nothing.
   */
  dispose(): void {
    if (this.disposed) return;
    this.host.checkCall();
    disposeClaimed(
      this.host,
      this.life.record,
      () => this.life.isLive(),
      () => {
        this.disposed = true; // from here on it goes
        this.machine[Symbol.dispose]();
      },
    );
  }

  /** As {@link dispose}. */
  [Symbol.dispose](): void {
    this.dispose();
  }

  /** What a GSI's interrupts come to: an injection of its one MSI, or relayed and why. The record is a new one if none is given. */
  private resolve(gsi: number, injection?: number): number {
    const { words, mutex, pools } = this.host;
    const [route] = this.routes.get(gsi) ?? [];
    const reason = whyNotInjected(this.routes.get(gsi));
    if (reason !== undefined || route === undefined) return relayed(reason ?? "no-route");
    return mutex.guard(() => {
      const record = injection ?? pools.injection.allocate();
      words.set(record + Injection.fd, this.machine.fd);
      words.set(record + Injection.addressLow, route.a);
      words.set(record + Injection.addressHigh, route.b);
      words.set(record + Injection.data, route.c);
      words.set(record + Injection.kind, this.kind);
      words.set(record + Injection.owner, this.host.thread.record);
      return injected(pools.injection.slot(record));
    });
  }

  /**
   * Gives an irqfd another target and returns the old one, which signals under way may still use. Unless `connected` allows it,
   * changes nothing where a producer is connected, and returns undefined.
   */
  private retarget(irqfd: number, target: number): number;
  private retarget(irqfd: number, target: number, connected: boolean): number | undefined;
  private retarget(irqfd: number, target: number, connected = true): number | undefined {
    const { host } = this;
    const { words, mutex } = host;
    let old: number | undefined;
    mutex.guard(() => {
      if (!connected && words.get(irqfd + Consumer.producer) !== 0) return;
      old = words.exchange(irqfd + Consumer.target, target);
      refresh(host, irqfd);
    });
    return old;
  }

  /** @internal */
  protected describe(): object {
    this.check();
    return { id: this.id, machine: this.machine };
  }

  private check(): void {
    if (this.disposed) throw new IrqBypassError("EBADF", `VM ${this.id} was disposed: make another one`);
  }

  private gsiOf(irqfd: number): number {
    return this.host.words.get(irqfd + Consumer.gsi) >>> 0;
  }
}

/** An irqfd with what it came to before it was parked. */
interface Parked {
  readonly irqfd: number;
  readonly target: number;
}
